/* ---- a tracer ---- */

//@ ptrace_raw
static long ptrace_raw(long request, int tracee, word address, word argument)
{
	return RAW(SYS_ptrace, request, tid_of(tracee), address, argument);
}

//@ wait_stop
static long wait_stop(int me, int tracee, word *data)
{
	long result = RAW(SYS_wait4, tid_of(tracee), desk(me), __WALL);

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
