/* ---- a tracer ---- */

//@ ptrace_raw
static long ptrace_raw(long request, int tracee, word address, word argument)
{
	return RAW(SYS_ptrace, request, tid_of(tracee), address, argument);
}

//@ wait_stop
static long wait_stop(int me, int tracee, word *data)
{
	/* 0 would be any child; of a task that was never started there is none. */
	word tid = tid_of(tracee) ? tid_of(tracee) : 0x7fffffff;
	long result = RAW(SYS_wait4, tid, desk(me), __WALL);

	data[0] = *(unsigned *)desk(me);
	return result;
}

//@ ask
static long ask(int me, long request, int tracee, word address, word *data)
{
	long result;

	*(word *)desk(me) = 0;
	result = ptrace_raw(request, tracee, address, desk(me));
	data[0] = *(word *)desk(me);
	return result;
}
