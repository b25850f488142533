/* ---- sets the stage ---- */

//@ need
static void need(int done, const char *what)
{
	if (!done)
		give_up(what);
}

//@ map_at
static void map_at(word at, word size, int protection)
{
	need(mmap((void *)at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)at,
	     "memory at a fixed address");
}

//@ at_number
static int at_number(int fd, int wanted)
{
	need(dup2(fd, wanted) == wanted, "a descriptor at a fixed number");
	return close(fd);
}

//@ map_shared
static void map_shared(int fd)
{
	if (fd != MEMORY)
		at_number(fd, MEMORY);
	need(ftruncate(MEMORY, sizeof *shared) == 0, "shared memory");
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, MEMORY, 0);
	need(shared != MAP_FAILED, "shared memory");
}

//@ map_arena
static void map_arena(void)
{
	map_at(ARENA, READONLY - ARENA, PROT_READ | PROT_WRITE);
	map_at(READONLY, 0x1000, PROT_READ);
	for (int actor = 0; actor < ACTORS; actor++)
		map_at(desk(actor), 0x1000, PROT_READ | PROT_WRITE);
	map_at(STACKS, ACTORS * STACK, PROT_READ | PROT_WRITE);
	for (unsigned at = 0; at < sizeof things / sizeof *things; at++)
		if (things[at].bytes)
			memcpy((void *)things[at].at, things[at].bytes, things[at].size);
}

//@
/* The directory in which actors begin. */
static char scratch[] = "/tmp/reproducer.XXXXXX";

//@ set_stage
static void set_stage(void)
{
	int ends[2];

	need(mkdtemp(scratch) && chdir(scratch) == 0, "a directory in /tmp");
	map_shared(memfd_create("shared", 0));
	shared->user = geteuid();
	shared->group = getegid();
	map_arena();
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
	at_number(ends[0], PASS_END);
	at_number(ends[1], TAKE_END);
	for (int actor = 0; actor < ACTORS; actor++) {
		need(pipe2(ends, O_CLOEXEC) == 0, "a pipe");
		at_number(ends[0], CONTROL + actor);
		control[actor] = fcntl(ends[1], F_DUPFD_CLOEXEC, BEYOND);
		need(control[actor] >= 0, "a pipe");
		close(ends[1]);
		blocked[actor] = last_done[actor] = -1;
	}
}

//@ prepare
/* What an actor does first, as the scenario's tables say it. */
static void prepare(int me)
{
	struct rlimit no_core = { 1, 1 };
	char name[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int signal = 1; signal <= 64; signal++)
		RAW(SYS_rt_sigaction, signal, (word)(const word[4]){ 0 }, 0, 8);
	dup2(open("/dev/null", O_RDWR), 0);
	dup2(0, 1);
	dup2(0, 2);
	close_range(3, CONTROL - 1, 0);
	close_range(BEYOND, ~0u, 0);
	if (setrlimit(RLIMIT_CORE, &no_core))
		shared->actor[me].fault = errno;
	snprintf(name, sizeof name, "ul-%s", names[me]);
	prctl(PR_SET_NAME, name);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (shared->actor[me].fault == 0 && become(me))
		shared->actor[me].fault = errno;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	if (shared->actor[me].fault)
		_exit(111);
}

//@ start
static void start(int actor)
{
	long pid = RAW(SYS_clone, SIGCHLD | namespaces_of(actor));

	need(pid >= 0, "a new process");
	if (pid == 0) {
		main_actor = actor;
		prepare(actor);
		begin(actor);
	}
	tids[actor] = shared->actor[actor].tid = (int)pid;
}

//@ remove_one
static int remove_one(const char *path, const struct stat *of, int kind, struct FTW *at)
{
	(void)of, (void)kind, (void)at;
	return remove(path);
}

//@ end_all
static void end_all(void)
{
	for (int actor = 0; actor < ACTORS; actor++)
		if (tids[actor] && seen[actor].rest != GONE)
			kill(tids[process_of[actor]], SIGKILL);
	while (wait4(-1, NULL, __WALL, NULL) > 0)
		;
	if (chdir("/") == 0)
		nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

//@ exec_self
/* What an actor that has executed this program anew does instead of main. */
__attribute__((constructor)) static void resume_actor(int count, char **arguments)
{
	if (count != 3 || strcmp(arguments[1], "actor"))
		return;
	main_actor = arguments[2][0] - 'a';
	map_shared(MEMORY);
	map_arena();
	struct actor *own = &shared->actor[main_actor];
	int act = own->phase - ACTING, turn = 0;

	own->returns[0] = (word)traced_return;
	own->returns[1] = (word)traced_int80_return;
	write_down(main_actor, act, 0, (const word[WORDS]){ 0 });
	while (turns[turn].end <= act)
		turn++;
	act_from(main_actor, act + 1, turns[turn].end);
	serve(main_actor);
}
