/* ---- signals ---- */

//@ signal_return
void signal_return(void);
__asm__(".text\n"
	".type signal_return, @function\n"
	"signal_return:\n"
	"	mov $15, %eax\n"
	"	syscall\n");

//@ handler
/* Notes what it saw; writes over the interrupted call's result if told to. */
static void handler(int signal, siginfo_t *info, ucontext_t *context)
{
	char local;
	word data[WORDS] = { 0 }, thread = ((word)&local - STACKS) / STACK;
	int me = thread < ACTORS ? (int)thread : main_actor;
	struct actor *own = &shared->actor[main_actor];

	if (own->handler_has_info[signal]) {
		data[0] = 1;
		memcpy(data + 1, info, 32);
	}
	data[6] = context->uc_mcontext.gregs[REG_RAX];
	data[7] = context->uc_mcontext.gregs[REG_RIP];
	write_down(me, HANDLER, signal, data);
	if (own->handler_has_result[signal])
		context->uc_mcontext.gregs[REG_RAX] = own->handler_result[signal];
}

//@ dispose
static long dispose(int me, int signal, word action, word flags)
{
	word *kernels = (word *)desk(me);

	kernels[0] = action;
	kernels[1] = flags | 0x04000000; /* SA_RESTORER */
	kernels[2] = (word)signal_return;
	kernels[3] = 0;
	return RAW(SYS_rt_sigaction, signal, desk(me), 0, 8);
}

//@ handle
static long handle(int me, int signal, word flags, const word *result)
{
	struct actor *own = &shared->actor[main_actor];

	own->handler_has_info[signal] = (flags & SA_SIGINFO) != 0;
	own->handler_has_result[signal] = result != NULL;
	own->handler_result[signal] = result ? *result : 0;
	return dispose(me, signal, (word)handler, flags);
}

//@ mask
static long mask(int me, int signal, int how)
{
	*(word *)desk(me) = 1ul << (signal - 1);
	return RAW(SYS_rt_sigprocmask, how, desk(me), 0, 8);
}
