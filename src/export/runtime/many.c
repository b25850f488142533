//@ draw_delay
/* Mostly short, as the windows are. */
static unsigned draw_delay(unsigned *seed)
{
	unsigned bits = rand_r(seed);

	return (bits >> 8) % (1u << bits % 13);
}

//@ play_race
/* Turns that begin together, each after a delay of its own. */
static void play_race(int turn, int end, unsigned seed)
{
	int acted[ACTORS], count = 0, own = -1;
	unsigned mixed = seed * 2654435761u;

	__atomic_store_n(&shared->arrived, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->open, 0, __ATOMIC_RELEASE);
	for (int at = turn; at < end; at++) {
		if (turns[at].by == DIRECTOR) {
			own = turns[at].first;
			continue;
		}
		shared->actor[turns[at].by].delay = draw_delay(&mixed);
		if (give_turn(at))
			acted[count++] = turns[at].by;
	}
	for (int round = 0; round < 1000 && __atomic_load_n(&shared->arrived, __ATOMIC_ACQUIRE) < count; round++)
		sched_yield();
	unsigned delay = draw_delay(&mixed);
	__atomic_store_n(&shared->open, 1, __ATOMIC_RELEASE);
	if (own >= 0) {
		while (delay--)
			__builtin_ia32_pause();
		acts[own].perform(DIRECTOR, NULL);
		end_line_of(own, DIRECTOR);
	}
	settle();
	changes(acted, count);
}

//@
static void play(unsigned seed)
{
	begin_play();
	for (int first = 0, end; first < TURNS; first = end) {
		for (end = first + 1; end < TURNS && turns[end].together; end++)
			;
		if (end == first + 1)
			play_turn(first);
		else
			play_race(first, end, seed);
	}
	end_all();
}

//@
/* Plays it again and again, each time in a process of its own, and counts. */
int main(int argc, char **argv)
{
	static struct { char *text; int times; } ways[256];
	int runs = argc > 1 ? atoi(argv[1]) : 1000, known = 0;

	for (int run = 0; run < runs; run++) {
		int file = memfd_create("trace", MFD_CLOEXEC), status, way;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(file, 1);
			play(run + 1);
			fflush(stdout);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			return 3;
		off_t size = lseek(file, 0, SEEK_END);
		char *text = calloc(size + 1, 1);
		if (!text || pread(file, text, size, 0) != size)
			return 3;
		close(file);
		for (way = 0; way < known && strcmp(ways[way].text, text); way++)
			;
		if (way == 256)
			return 3;
		if (way == known)
			ways[known++].text = text;
		else
			free(text);
		ways[way].times++;
	}
	for (int way = 0; way < known; way++)
		printf("%d of %d runs:\n%s\n", ways[way].times, runs, ways[way].text);
	return 0;
}
