/* ---- what an actor becomes before it acts ---- */

//@ become_user
static int become_user(unsigned user)
{
	return setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user);
}

//@ drop_capabilities
static int drop_capabilities(void)
{
	static const unsigned header[2] = { 0x20080522, 0 }, none[6];

	return syscall(SYS_capset, header, none);
}

//@ pin_to
static int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof set, &set);
}

//@ set_policy
static int set_policy(int policy, int priority)
{
	struct sched_param parameter = { priority };

	return sched_setscheduler(0, policy, &parameter);
}

//@ root_of_namespace
static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int failed = fd < 0 || write(fd, text, strlen(text)) < 0;

	close(fd);
	return failed;
}

/* Root of its new user namespace is whoever runs this program: shared->user. */
static int root_of_namespace(void)
{
	char map[32];

	snprintf(map, sizeof map, "0 %u 1", shared->user);
	if (write_file("/proc/self/setgroups", "deny") || write_file("/proc/self/uid_map", map))
		return 1;
	snprintf(map, sizeof map, "0 %u 1", shared->group);
	return write_file("/proc/self/gid_map", map);
}
