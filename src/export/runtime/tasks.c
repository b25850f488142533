/* ---- children and threads ---- */

//@ fork_actor
/* A forked child has its parent's descriptors and handlers. */
static long fork_actor(int me, int actor)
{
	const struct actor *from = &shared->actor[process_of[me]];
	struct actor *to = &shared->actor[actor];
	long pid;

	memcpy(to->number, from->number, sizeof to->number);
	memcpy(to->has, from->has, sizeof to->has);
	memcpy(to->handler_result, from->handler_result, sizeof to->handler_result);
	memcpy(to->handler_has_result, from->handler_has_result, sizeof to->handler_has_result);
	memcpy(to->handler_has_info, from->handler_has_info, sizeof to->handler_has_info);
	pid = RAW(SYS_clone, SIGCHLD);
	if (pid == 0) {
		main_actor = actor;
		begin(actor);
	}
	return pid;
}

//@ thread_begins
static void thread_begins(word actor)
{
	begin(actor);
}

//@ clone_thread
/* clone(2) onto a stack of its own, without libc's idea of a thread. */
long clone_thread(word flags, word stack, void (*entry)(word), word argument);
__asm__(".text\n"
	".type clone_thread, @function\n"
	"clone_thread:\n"
	"	sub $16, %rsi\n"
	"	mov %rdx, (%rsi)\n"
	"	mov %rcx, 8(%rsi)\n"
	"	mov $56, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	xor %r8d, %r8d\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	xor %ebp, %ebp\n"
	"	pop %rax\n"
	"	pop %rdi\n"
	"	call *%rax\n"
	"	hlt\n");

//@ thread_actor
static long thread_actor(int actor)
{
	return clone_thread(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				    CLONE_SYSVSEM,
			    STACKS + (actor + 1ul) * STACK, thread_begins, actor);
}

//@ exec_self
/* Executes this program anew: `reproducer actor LETTER` (resume_actor). All of
   it lies where unotify-lab puts it: its addresses show in a notification. */
static long exec_self(int me)
{
	word *arguments = (word *)desk(me);
	char *path = (char *)desk(me) + 84, *actor = path + 16, *letter = actor + 8;

	strcpy(path, "/proc/self/exe");
	strcpy(actor, "actor");
	letter[0] = 'a' + me;
	letter[1] = '\0';
	arguments[0] = (word)path;
	arguments[1] = (word)actor;
	arguments[2] = (word)letter;
	arguments[3] = 0;
	arguments[4] = 0;
	return RAW(SYS_execve, (word)path, (word)arguments, (word)(arguments + 4));
}
