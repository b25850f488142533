/* ---- has the actors act in turn ---- */

//@
static int control[ACTORS];
static struct look seen[ACTORS];
static enum rest before[ACTORS];
static int read_to[ACTORS], blocked[ACTORS], last_done[ACTORS];

//@ give_up
static void give_up(const char *why)
{
	fflush(stdout);
	fprintf(stderr, "no result: %s (%s)\n", why, strerror(errno));
	exit(3);
}

//@ current
/* The act that an actor is in; one that was ended right after an act had no
   time to say that it was not in it any more. */
static int current(int actor)
{
	int act = __atomic_load_n(&shared->actor[actor].phase, __ATOMIC_ACQUIRE) - ACTING;

	return act < 0 || act == last_done[actor] ? -1 : act;
}

//@
static const struct record *next_record(int actor, int at)
{
	const struct record *next = &shared->actor[actor].log[at];

	return at < RECORDS && __atomic_load_n(&next->ready, __ATOMIC_ACQUIRE) ? next : NULL;
}

//@ unfinished
/* The act in which an actor was when it wrote what has been read so far. */
static int unfinished(int actor)
{
	const struct record *next;

	for (int at = read_to[actor]; (next = next_record(actor, at)); at++)
		if (next->act != HANDLER)
			return next->act;
	return current(actor);
}

//@ passes
/* Whether an actor's id is that argument of an act. */
static int passes(int act, int arg, int actor)
{
	int passed = act < 0 ? 0 : acts[act].pid_arg[arg];

	return passed == actor + 1 || passed == ANYBODY;
}

//@ passed_id
/* Whose id it is that an actor has passed, if it has: in the act that it is in, in
   one that has not been read yet, or in the last that has. */
static const char *passed_id(int actor, int arg, word value)
{
	int whose = actor_of(value), found;
	const struct record *next;

	if (whose < 0)
		return NULL;
	found = passes(current(actor), arg, whose) || passes(last_done[actor], arg, whose);
	for (int at = read_to[actor]; !found && (next = next_record(actor, at)); at++)
		found = passes(next->act, arg, whose);
	return found ? names[whose] : NULL;
}

//@ newborn
/* Finds out the ids of actors that others have started. */
static int newborn(void)
{
	int found = 0;

	for (int by = 0; by < ACTORS; by++)
		for (int at = read_to[by]; next_record(by, at); at++) {
			const struct record *next = next_record(by, at);
			int started = next->act == HANDLER ? -1 : acts[next->act].starts - 1;

			if (started >= 0 && next->raw > 0 && !tids[started]) {
				tids[started] = (int)next->raw;
				found = 1;
			}
		}
	return found;
}

//@ still
static int still(void)
{
	struct look first[ACTORS];

	for (int actor = 0; actor < ACTORS; actor++) {
		first[actor] = look_at(actor);
		if (first[actor].rest == MOVING)
			return 0;
	}
	for (int actor = 0; actor < ACTORS; actor++) {
		struct look again = look_at(actor);

		if (again.rest != first[actor].rest || again.switches != first[actor].switches ||
		    again.call != first[actor].call)
			return 0;
	}
	if (newborn())
		return 0;
	memcpy(seen, first, sizeof seen);
	return 1;
}

//@ settle
static void settle(void)
{
	time_t limit = time(NULL) + 30;

	newborn();
	while (!still()) {
		if (time(NULL) > limit)
			give_up("somebody still moves after 30 s");
		sched_yield();
	}
}

//@ end_status
static int end_status(int actor)
{
	char text[1024], *at;
	siginfo_t info = { 0 };

	if (waitid(P_PID, tids[actor], &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
		return info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 :
						    info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	/* A child of another actor, or one whose other threads live: the 20th field
	   of /proc/PID/stat counts threads, the last is its wait status. */
	if (!read_file(actor, "../../stat", text, sizeof text) || !(at = strrchr(text, ')')) || at[2] != 'Z')
		return -1;
	for (int number = 2; number < 20; number++)
		at = strchr(at + 1, ' ');
	return atoi(at) > 1 ? -1 : atoi(strrchr(text, ' '));
}

//@ changes_of
static void changes_of(int actor)
{
	const struct record *next;
	int was_halted = before[actor] == STOPPED || before[actor] == TRACED, act;

	while ((next = next_record(actor, read_to[actor]))) {
		read_to[actor]++;
		if (next->act == HANDLER) {
			int trapped = next->raw == SIGSYS && next->data[0] && (int)next->data[2] == 1;

			act = trapped ? unfinished(actor) : -1;
			tell_handler(actor, next);
			if (act >= 0) {
				blocked[actor] = -1;
				end_line_of(act, actor);
			} else {
				end_line(NULL, 0, actor);
			}
			continue;
		}
		act = last_done[actor] = next->act;
		blocked[actor] = -1;
		/* What prepares the stage is told only where it fails. */
		if (acts[act].stage && next->raw >= 0)
			continue;
		acts[act].tell(&acts[act], actor, next);
		end_line_of(act, actor);
	}
	act = current(actor);
	if (seen[actor].rest == GONE && before[actor] != GONE) {
		int status = process_of[actor] == actor ? end_status(actor) : -1;

		if (status < 0)
			say("thread ends");
		else
			say_end("exits", status);
		if (status >= 0 && WIFSIGNALED(status) && WCOREDUMP(status))
			say(", core dumped");
		if (act >= 0)
			end_line_of(act, actor);
		else
			end_line(NULL, 0, actor);
	} else if (seen[actor].rest == STOPPED && before[actor] != STOPPED) {
		say("stops");
		end_line(NULL, 0, actor);
	} else if (seen[actor].rest == TRACED && before[actor] != TRACED) {
		say("stops for its tracer");
		end_line(NULL, 0, actor);
	} else if ((seen[actor].rest == ASLEEP || seen[actor].rest == RESTING) && was_halted) {
		say("continues");
		end_line(NULL, 0, actor);
	}
	before[actor] = seen[actor].rest;
	if (seen[actor].rest == ASLEEP && act >= 0 && blocked[actor] != act) {
		blocked[actor] = act;
		say("blocks");
		end_line_of(act, actor);
	}
}

//@ changes
/* Tells what has changed: first for those who acted. */
static void changes(const int *acted, int count)
{
	for (int at = 0; at < count; at++)
		changes_of(acted[at]);
	for (int actor = 0; actor < ACTORS; actor++) {
		int first = 0;

		for (int at = 0; at < count; at++)
			first |= acted[at] == actor;
		if (!first)
			changes_of(actor);
	}
}

//@ unable
/* Why an actor cannot take its turn; NULL where it can. */
static const char *unable(int actor)
{
	static char why[600];
	const char *name = names[actor];

	switch (seen[actor].rest) {
	case RESTING:
		return NULL;
	case UNBORN:
		snprintf(why, sizeof why, "%s was never started", name);
		break;
	case GONE:
		snprintf(why, sizeof why, "%s has ended", name);
		break;
	case STOPPED:
	case TRACED:
		snprintf(why, sizeof why, "%s is stopped", name);
		break;
	default:
		snprintf(why, sizeof why, "%s is blocked in %s", name,
			 blocked[actor] >= 0 ? acts[blocked[actor]].text : "an act");
	}
	return why;
}

//@ give_turn
/* Gives an actor its turn, or tells why it cannot take it. */
static int give_turn(int index)
{
	const struct turn *turn = &turns[index];
	struct actor *own = &shared->actor[turn->by];
	const char *why = unable(turn->by);

	for (int act = turn->first; why && act < turn->end; act++) {
		say("not run: %s", why);
		end_line_of(act, turn->by);
	}
	if (why)
		return 0;
	if (__atomic_load_n(&own->phase, __ATOMIC_ACQUIRE) == SPINNING) {
		__atomic_store_n(&own->phase, ACTING + turn->first, __ATOMIC_RELEASE);
		__atomic_store_n(&own->go, index + 1, __ATOMIC_RELEASE);
	} else if (write(control[turn->by], &index, sizeof index) != sizeof index) {
		give_up("a turn cannot be given");
	}
	return 1;
}

/* The director's own acts. */

//@ send_signal
static void send_signal(int to, int signal, int process)
{
	int leader = tids[process_of[to]];
	long sent = process ? kill(leader, signal) : syscall(SYS_tgkill, leader, tids[to], signal);

	say_returned(sent ? -errno : 0);
}

//@ reap
static void reap(int actor)
{
	int status;
	pid_t got = waitpid(tids[actor], &status, WNOHANG);

	if (got > 0)
		say_end("exited", status);
	else
		say(got == 0 ? "not run: it has not ended" : "not run: it has been reaped");
}

//@ await
static void await(int actor)
{
	int act = blocked[actor];

	if (act < 0) {
		say("not run: it is not blocked");
		return;
	}
	while (__atomic_load_n(&shared->actor[actor].phase, __ATOMIC_ACQUIRE) == ACTING + act &&
	       look_at(actor).rest != GONE)
		sched_yield();
	say("ok");
}

//@ state
static void state(int actor)
{
	if (seen[actor].rest == UNBORN)
		say("not run: it was never started");
	else if (seen[actor].rest == ASLEEP && seen[actor].call >= 0)
		say("%c in %s", seen[actor].letter, call_name((int)seen[actor].call, AUDIT_ARCH_X86_64));
	else
		say("%c", seen[actor].rest == GONE && !seen[actor].letter ? 'X' : seen[actor].letter);
}

//@ status_field
static void status_field(int actor, const char *name)
{
	char text[8192];

	if (!tids[actor] || !read_file(actor, "status", text, sizeof text))
		say("not run: it has no status any more");
	else if (!strstr(text, name))
		say("not run: this kernel has no such field");
	else
		say("reads %ld", atol(field(text, name)));
}
