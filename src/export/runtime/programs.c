//@ get_filter
/* The filter of this scenario that a tracee's one is, plus one. */
static long get_filter(int me, int tracee, word index, word *data)
{
	long len = ptrace_raw(PTRACE_SECCOMP_GET_FILTER, tracee, index, 0);

	if (len < 1 || len > 512)
		return len;
	len = ptrace_raw(PTRACE_SECCOMP_GET_FILTER, tracee, index, desk(me));
	for (int known = 0; known < PROGRAMS; known++)
		if (!data[0] && programs[known].len == len &&
		    !memcmp(programs[known].code, (void *)desk(me), 8 * len))
			data[0] = known + 1;
	return len;
}
