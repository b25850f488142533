/* ---- memory, one's own and that of a target ---- */

//@ read_back
static word *read_back(long raw_register, word *data, word from, word size)
{
	if (raw_register >= 0)
		memcpy(data, (void *)from, size < WORDS * 8 ? size : WORDS * 8);
	return data;
}

//@ load
static long load(word *data, word from, word size)
{
	read_back(0, data, from, size);
	return 0;
}

//@ store
static long store(word to, word from, word size)
{
	memcpy((void *)to, (void *)from, size);
	return 0;
}

//@ decimal
static char *decimal(char *at, word number)
{
	if (number > 9)
		at = decimal(at, number / 10);
	*at = '0' + number % 10;
	return at + 1;
}

//@ open_mem
static long open_mem(int me, int slot)
{
	char *path = (char *)desk(me);

	memcpy(path, "/proc/", 6);
	strcpy(decimal(path + 6, notified(slot)->pid), "/mem");
	return RAW(SYS_openat, AT_FDCWD, (word)path, O_RDWR | O_CLOEXEC);
}

//@ read_mem
static long read_mem(int me, int fd, word from, word size, word *data)
{
	long got = RAW(SYS_pread64, fd, desk(me), size, from);

	read_back(got, data, desk(me), got > 0 ? got : 0);
	return got;
}
