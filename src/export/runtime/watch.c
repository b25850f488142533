/* ---- when nobody can move any more ----

   A look reads /proc/TID/syscall first: the kernel waits there until the task
   is off the processor, or says that it runs. Then it reads the count of
   context switches. If two rounds of looks find every task asleep with the same
   counts, all of them slept at once between the rounds. No clock is asked. */

//@
enum rest { UNBORN, MOVING, RESTING, ASLEEP, STOPPED, TRACED, GONE };

//@
struct look {
	enum rest rest;
	char letter;
	long call, switches;
};

//@ read_file
static word read_file(int actor, const char *file, char *text, word size)
{
	char path[64];
	long got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", tids[actor], tids[actor], file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, size - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0 ? got : 0;
}

//@ field
static const char *field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) + strspn(at + strlen(name), " \t") : "";
}

//@ lasting
/* D is the kernel's own affair and will pass, except where it waits for others. */
static int lasting(int actor)
{
	static const char *const places[] = { "seccomp_do_user_notification", "__seccomp_filter",
					      "wait_for_vfork_done", "kernel_clone", "do_coredump", "begin_new_exec",
					      "de_thread" };
	char text[128];

	read_file(actor, "wchan", text, sizeof text);
	for (unsigned at = 0; at < sizeof places / sizeof *places; at++)
		if (!strncmp(text, places[at], strlen(places[at])))
			return 1;
	return 0;
}

//@ spins
static int spins(const struct actor *own)
{
	unsigned before = __atomic_load_n(&own->beat, __ATOMIC_ACQUIRE);

	for (int round = 0; round < 100000; round++) {
		if (__atomic_load_n(&own->beat, __ATOMIC_ACQUIRE) - before >= 2)
			return __atomic_load_n(&own->phase, __ATOMIC_ACQUIRE) == SPINNING;
		__builtin_ia32_pause();
	}
	return 0;
}

//@ look_at
static struct look look_at(int actor)
{
	char call[256] = "", status[8192] = "";
	const struct actor *own = &shared->actor[actor];
	struct look look = { .rest = MOVING, .letter = 'R', .call = -1 };
	unsigned long long pending;
	int phase;

	if (!tids[actor]) {
		look.rest = UNBORN;
		return look;
	}
	read_file(actor, "syscall", call, sizeof call);
	if (!read_file(actor, "status", status, sizeof status)) {
		look.rest = kill(tids[actor], 0) ? GONE : MOVING;
		return look;
	}
	look.letter = *field(status, "\nState:");
	phase = __atomic_load_n(&own->phase, __ATOMIC_ACQUIRE);
	if (look.letter == 'Z') {
		int leader = atoi(field(status, "\nTgid:")) == atoi(field(status, "\nPid:"));

		look.rest = leader || atoi(field(status, "\nTracerPid:")) ? GONE : MOVING;
		return look;
	}
	look.switches = atol(field(status, "\nvoluntary_ctxt_switches:")) +
			atol(field(status, "\nnonvoluntary_ctxt_switches:"));
	pending = strtoull(field(status, "\nSigPnd:"), NULL, 16) | strtoull(field(status, "\nShdPnd:"), NULL, 16);
	pending &= ~strtoull(field(status, "\nSigBlk:"), NULL, 16);
	if (look.letter == 'R' && phase == SPINNING && !pending && spins(own)) {
		look.rest = RESTING;
		look.switches = 0;
		return look;
	}
	if (*call == 'r' || !*call)
		return look;
	look.call = atol(call);
	if (look.letter == 'T')
		look.rest = STOPPED;
	else if (look.letter == 't')
		look.rest = TRACED;
	else if (look.letter == 'S' || (look.letter == 'D' && lasting(actor)))
		look.rest = phase == IDLE ? RESTING : ASLEEP;
	return look;
}
