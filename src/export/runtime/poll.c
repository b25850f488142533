/* ---- readiness ---- */

//@ poll_one
static long poll_one(int me, int fd, short events, long timeout, word *data)
{
	struct pollfd *one = (void *)desk(me);
	long result;

	*one = (struct pollfd){ fd, events, 0 };
	result = RAW(SYS_poll, (word)one, 1, timeout);
	if (result == 1)
		data[0] = (unsigned short)one->revents;
	return result;
}

//@ select_one
static long select_one(int me, word fd, long timeout, word *data)
{
	word *sets = (word *)desk(me), bit = 1ul << fd % 64, at = fd % 1024 / 64;
	struct timeval *time = (void *)(sets + 48);
	long result;

	memset(sets, 0, 3 * 128);
	for (int set = 0; set < 3; set++)
		sets[16 * set + at] = bit;
	*time = (struct timeval){ timeout / 1000, timeout % 1000 * 1000 };
	result = RAW(SYS_select, fd % 1024 + 1, (word)sets, (word)(sets + 16), (word)(sets + 32),
		     timeout < 0 ? 0 : (word)time);
	for (int set = 0; result >= 0 && set < 3; set++)
		data[0] |= (sets[16 * set + at] & bit ? 1ul : 0) << set;
	return result;
}

//@ epoll_add
static long epoll_add(int me, int epoll, int fd, unsigned events)
{
	struct epoll_event *event = (void *)desk(me);

	*event = (struct epoll_event){ .events = events };
	return RAW(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, (word)event);
}

//@ epoll_wait_one
static long epoll_wait_one(int me, int epoll, long timeout, word *data)
{
	struct epoll_event *event = (void *)desk(me);
	long result = RAW(SYS_epoll_wait, epoll, (word)event, 1, timeout);

	if (result == 1)
		data[0] = event->events;
	return result;
}
