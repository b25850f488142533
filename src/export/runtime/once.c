//@
int main(void)
{
	begin_play();
	for (int turn = 0; turn < TURNS; turn++)
		play_turn(turn);
	end_all();
	return 0;
}
