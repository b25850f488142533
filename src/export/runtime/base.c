/* ---- what every actor is made of ---- */

//@
enum { WORDS = 16, RECORDS = 128 };
enum { HANDLER = -1, ANYBODY = -1 };
enum { IDLE, SPINNING, ACTING };

//@
/* What an actor saw: an act's end, or the run of a handler. */
struct record {
	int act;
	int ready;
	long raw;
	word data[WORDS];
};

//@
struct act {
	int by;                /* an actor, or DIRECTOR */
	int stage;             /* prepares the stage: told only if it fails */
	int starts;            /* the actor that it starts, plus one */
	int listener;          /* of RECV: ids count from the first on it */
	word size;             /* of what is read */
	int pid_arg[6];        /* arguments that are an actor's id: which, plus one, or ANYBODY */
	const char *label, *text, *binds;
	long (*perform)(int me, word *data);
	void (*tell)(const struct act *act, int actor, const struct record *seen);
};

//@
/* The acts from `first` up to `end` are done without a pause. */
struct turn {
	int by, first, end;
	int together;          /* with the turn before it: a race */
};

//@
static struct shared {
	unsigned user, group;  /* of whoever runs this */
	int arrived, open;     /* the gate at which racing actors wait */
	struct actor {
		int tid, phase, go, fault;
		unsigned delay, beat;
		int written;
		struct record log[RECORDS];
		long number[SLOTS];
		char has[SLOTS];
		word returns[2];   /* where its traced calls return to */
		word handler_result[65];
		char handler_has_result[65], handler_has_info[65];
	} actor[ACTORS];
	struct slot {
		int set;
		long number;
		struct seccomp_notif note;
	} slot[SLOTS];
} *shared;

//@
extern const struct act acts[];
extern const struct turn turns[];

//@ raw
static long raw(long nr, const word *a)
{
	register word r10 __asm__("r10") = a[3];
	register word r8 __asm__("r8") = a[4];
	register word r9 __asm__("r9") = a[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

//@
/* A system call whose raw register is kept: libc folds part of it into errno. */
#define RAW(nr, ...) raw((nr), (const word[6]){ __VA_ARGS__ })

//@
/* The calls that the scenario is about are made at one place, so that an
   instruction_pointer can be told from another. */
extern const char traced_return[], traced_int80_return[];
long traced_syscall(word nr, const word *args);
long traced_syscall_int80(word nr, const word *args);

//@
__asm__(".text\n"
	".type traced_syscall, @function\n"
	"traced_syscall:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %r11\n"
	"	mov (%r11), %rdi\n"
	"	mov 8(%r11), %rsi\n"
	"	mov 16(%r11), %rdx\n"
	"	mov 24(%r11), %r10\n"
	"	mov 32(%r11), %r8\n"
	"	mov 40(%r11), %r9\n"
	"	syscall\n"
	"traced_return:\n"
	"	ret\n"
	".type traced_syscall_int80, @function\n"
	"traced_syscall_int80:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %r11\n"
	"	mov (%r11), %rbx\n"
	"	mov 8(%r11), %rcx\n"
	"	mov 16(%r11), %rdx\n"
	"	mov 24(%r11), %rsi\n"
	"	mov 32(%r11), %rdi\n"
	"	mov 40(%r11), %rbp\n"
	"	int $0x80\n"
	"traced_int80_return:\n"
	"	movslq %eax, %rax\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");

//@
#define TRACED(nr, ...) traced_syscall((nr), (const word[6]){ __VA_ARGS__ })
#define INT80(nr, ...) traced_syscall_int80((nr), (const word[6]){ __VA_ARGS__ })

//@ desk
/* The page on which an actor builds what a call reads. */
static word desk(int me)
{
	return DESKS + me * 0x2000ul;
}

//@ edge
/* The address whose last byte is the last of a page that nothing follows. */
static word edge(int me, word size)
{
	return desk(me) + 0x1000 - size;
}

//@ put
/* Puts a structure where the call looks for it, if it can be written there. */
static word put(int me, word at, const void *from, word size)
{
	if (at >= desk(me) && at < desk(me) + 0x1000)
		memcpy((void *)at, from, size);
	return at;
}

//@ number_of
/* The number by which an actor's process knows a name. */
static long number_of(int me, int slot)
{
	const struct actor *own = &shared->actor[process_of[me]];

	if (own->has[slot])
		return own->number[slot];
	return shared->slot[slot].set ? shared->slot[slot].number : -1;
}

//@ know
/* Gives a name a number; each process that does it has its own. */
static void know(int me, int slot, long value)
{
	struct actor *own = &shared->actor[process_of[me]];

	own->number[slot] = value;
	own->has[slot] = 1;
	if (!shared->slot[slot].set) {
		shared->slot[slot].number = value;
		__atomic_store_n(&shared->slot[slot].set, 1, __ATOMIC_RELEASE);
	}
}

//@ bind_name
static long bind_name(int me, int slot, long result)
{
	if (result >= 0)
		know(me, slot, result);
	return result;
}

//@ notified
static struct seccomp_notif *notified(int slot)
{
	return &shared->slot[slot].note;
}

//@ tid_of
static word tid_of(int actor)
{
	return shared->actor[actor].tid;
}

//@ write_down
static void write_down(int me, int act, long raw_register, const word *data)
{
	struct actor *own = &shared->actor[me];
	int at = __atomic_fetch_add(&own->written, 1, __ATOMIC_ACQ_REL);

	if (at >= RECORDS)
		return;
	own->log[at].act = act;
	own->log[at].raw = raw_register;
	memcpy(own->log[at].data, data, sizeof own->log[at].data);
	__atomic_store_n(&own->log[at].ready, 1, __ATOMIC_RELEASE);
}

/* ---- an actor at work ---- */

//@ wait_at_gate
static void wait_at_gate(int me)
{
	unsigned round;

	__atomic_fetch_add(&shared->arrived, 1, __ATOMIC_ACQ_REL);
	for (round = 0; round < 10000 && !__atomic_load_n(&shared->open, __ATOMIC_ACQUIRE); round++)
		__builtin_ia32_pause();
	for (round = 0; round < shared->actor[me].delay; round++)
		__builtin_ia32_pause();
}

//@ act_from
static void act_from(int me, int first, int end)
{
	for (int index = first; index < end; index++) {
		word data[WORDS] = { 0 };

		__atomic_store_n(&shared->actor[me].phase, ACTING + index, __ATOMIC_RELEASE);
		long result = acts[index].perform(me, data);
		write_down(me, index, result, data);
	}
}

//@ next_turn
/* Filters may refuse read(2): then the turn is waited for in shared memory. */
static unsigned next_turn(int me)
{
	struct actor *own = &shared->actor[me];
	unsigned turn = 0;

	for (;;) {
		long got = RAW(SYS_read, CONTROL + me, (word)&turn, sizeof turn);

		if (got == sizeof turn)
			return turn;
		if (got == 0)
			for (;;) {
				RAW(SYS_exit_group, 0);
				RAW(SYS_exit, 0);
			}
		if (got != -EINTR)
			break;
	}
	__atomic_store_n(&own->phase, SPINNING, __ATOMIC_RELEASE);
	for (;;) {
		int go = __atomic_exchange_n(&own->go, 0, __ATOMIC_ACQ_REL);

		if (go)
			return go - 1;
		__atomic_fetch_add(&own->beat, 1, __ATOMIC_ACQ_REL);
		__builtin_ia32_pause();
	}
}

//@ serve
static void serve(int me)
{
	for (;;) {
		__atomic_store_n(&shared->actor[me].phase, IDLE, __ATOMIC_RELEASE);
		const struct turn *turn = &turns[next_turn(me)];

		if (turn->together || (turn + 1 < turns + TURNS && turn[1].together))
			wait_at_gate(me);
		act_from(me, turn->first, turn->end);
	}
}

//@
/* The actor that is this process's main thread. */
static int main_actor;

//@ begin
static void begin(int me)
{
	int unknown = 0;
	struct actor *own = &shared->actor[me];

	own->returns[0] = (word)traced_return;
	own->returns[1] = (word)traced_int80_return;
	__atomic_compare_exchange_n(&own->tid, &unknown, (int)RAW(SYS_gettid), 0, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	serve(me);
}
