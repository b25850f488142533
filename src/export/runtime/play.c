//@
/* ---- plays the scenario ---- */

//@ begin_play
static void begin_play(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	set_stage();
	for (int actor = 0; actor < ACTORS; actor++)
		if (from_start[actor])
			start(actor);
	settle();
	for (int actor = 0; actor < ACTORS; actor++)
		if ((errno = shared->actor[actor].fault))
			give_up(names[actor]);
	changes(NULL, 0);
}

//@ play_turn
static void play_turn(int turn)
{
	if (turns[turn].by == DIRECTOR) {
		for (int act = turns[turn].first; act < turns[turn].end; act++) {
			acts[act].perform(DIRECTOR, NULL);
			end_line_of(act, DIRECTOR);
			settle();
			changes(NULL, 0);
		}
	} else if (give_turn(turn)) {
		settle();
		changes(&turns[turn].by, 1);
	}
}
