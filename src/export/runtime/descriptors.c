/* ---- descriptors from one actor to another ---- */

//@ message
static struct msghdr *message(int me, struct cmsghdr **head)
{
	struct msghdr *header = (void *)desk(me);
	struct iovec *byte = (void *)(header + 1);

	memset(header, 0, 512);
	*byte = (struct iovec){ byte + 1, 1 };
	header->msg_iov = byte;
	header->msg_iovlen = 1;
	header->msg_control = byte + 2;
	header->msg_controllen = CMSG_SPACE(sizeof(int));
	*head = header->msg_control;
	(*head)->cmsg_len = CMSG_LEN(sizeof(int));
	(*head)->cmsg_level = SOL_SOCKET;
	(*head)->cmsg_type = SCM_RIGHTS;
	return header;
}

//@ pass
static long pass(int me, int fd)
{
	struct cmsghdr *head;
	struct msghdr *header = message(me, &head);

	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	return RAW(SYS_sendmsg, PASS_END, (word)header);
}

//@ take_passed
static long take_passed(int me)
{
	struct cmsghdr *head;
	struct msghdr *header = message(me, &head);
	long got = RAW(SYS_recvmsg, TAKE_END, (word)header, MSG_CMSG_CLOEXEC);
	int fd;

	memcpy(&fd, CMSG_DATA(head), sizeof fd);
	return got < 0 ? got : fd;
}

//@ take_from
static long take_from(int slot, int owner)
{
	long pidfd, fd, theirs = number_of(owner, slot);

	if (theirs < 0)
		return -EBADF;
	pidfd = RAW(SYS_pidfd_open, tid_of(process_of[owner]));
	if (pidfd < 0)
		return pidfd;
	fd = RAW(SYS_pidfd_getfd, pidfd, theirs);
	RAW(SYS_close, pidfd);
	return fd;
}
