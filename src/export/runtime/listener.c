/* ---- the listener ---- */

//@ notif_recv
static long notif_recv(int me, long listener, word at, int dirty, int slot, word *data)
{
	static const struct seccomp_notif empty;
	long result;

	put(me, at, &empty, sizeof empty);
	if (dirty >= 0)
		((char *)at)[dirty] = 1;
	result = RAW(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, at);
	if (result == 0) {
		memcpy(data, (void *)at, sizeof empty);
		if (slot >= 0) {
			memcpy(notified(slot), (void *)at, sizeof empty);
			know(me, slot, notified(slot)->id);
		}
	}
	return result;
}

//@ notif_send
static long notif_send(int me, long listener, word at, struct seccomp_notif_resp response)
{
	at = put(me, at, &response, sizeof response);
	return RAW(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, at);
}

//@ notif_id_valid
static long notif_id_valid(int me, long listener, word at, word request, word id)
{
	return RAW(SYS_ioctl, listener, request, put(me, at, &id, sizeof id));
}

//@ notif_addfd
/* `size` is that of the structure of some kernel; `tail` a byte past our own. */
static long notif_addfd(int me, long listener, word at, word size, unsigned char tail,
				struct seccomp_notif_addfd request)
{
	memset((void *)desk(me), 0, 0x1000);
	((unsigned char *)desk(me))[sizeof request] = tail;
	at = put(me, at, &request, sizeof request);
	return RAW(SYS_ioctl, listener, _IOC(_IOC_WRITE, '!', 3, size), at);
}
