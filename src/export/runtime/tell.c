/* ---- what is told ---- */

//@
enum { DIRECTOR = -1 };

//@
/* The outcome of which a line is being made. */
static char said[8192];

//@ say
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	size_t at = strlen(said);
	va_list list;

	va_start(list, format);
	vsnprintf(said + at, sizeof said - at, format, list);
	va_end(list);
}

//@ end_line
static void end_line(const struct act *act, int again, int actor)
{
	char head[512] = "";
	int len = 0;

	if (act && act->label && !again)
		len += snprintf(head + len, sizeof head - len, "%s: ", act->label);
	if (actor >= 0)
		len += snprintf(head + len, sizeof head - len, "%s:%s", names[actor], act ? " " : "");
	if (act)
		snprintf(head + len, sizeof head - len, "%.*s",
			 (int)(again ? strcspn(act->text, " (") : strlen(act->text)), act->text);
	printf("%-*s  %s\n", WIDTH, head, said);
	said[0] = '\0';
}

//@
static char told[ACTS];

//@ end_line_of
static void end_line_of(int index, int actor)
{
	end_line(&acts[index], told[index], actor);
	told[index] = 1;
}

//@ signal_name
static const char *signal_name(int signal)
{
	static char name[32];
	const char *known = sigabbrev_np(signal);

	snprintf(name, sizeof name, known ? "SIG%s" : "signal %s%d", known ? known : "", signal);
	return name;
}

//@ say_returned
static void say_returned(long value)
{
	static const char *const restart[] = { "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD",
					       "ERESTART_RESTARTBLOCK" };
	const char *name = value < 0 && value >= -4095 ? strerrorname_np(-value) : NULL;

	if (value <= -512 && value >= -516)
		name = restart[-value - 512];
	if (value == 0)
		say("ok");
	else if (name)
		say("%s", name);
	else if (value < 0 && value >= -4095)
		say("errno %ld", -value);
	else
		say("returns %ld", value);
}

//@ call_name
static const char *call_name(int nr, unsigned arch)
{
	static char number[32];

	for (unsigned at = 0; at < sizeof calls / sizeof *calls; at++)
		if (calls[at].nr == nr && calls[at].arch == arch)
			return calls[at].name;
	snprintf(number, sizeof number, "#%d", nr);
	return number;
}

//@ arch_name
static const char *arch_name(unsigned arch)
{
	static char number[32];

	if (arch == AUDIT_ARCH_X86_64)
		return "x86_64";
	if (arch == AUDIT_ARCH_I386)
		return "i386";
	snprintf(number, sizeof number, "arch %#x", arch);
	return number;
}

//@
/* The actors' thread ids, as this process sees them; 0 before they are known. */
static int tids[ACTORS];

//@ actor_of
static int actor_of(long number)
{
	for (int actor = 0; actor < ACTORS; actor++)
		if (number > 0 && tids[actor] == number)
			return actor;
	return -1;
}

//@ tell_result
static void tell_result(const struct act *act, int actor, const struct record *seen)
{
	(void)act, (void)actor;
	say_returned(seen->raw);
}

//@ tell_task
/* A call whose result is the id of a task. */
static void tell_task(const struct act *act, int actor, const struct record *seen)
{
	int known = actor_of(seen->raw);

	if (known >= 0)
		say("returns pid(%s)", names[known]);
	else if (seen->raw == getpid())
		say("returns pid(the harness)");
	else
		tell_result(act, actor, seen);
}

//@ passed_id
static const char *passed_id(int actor, int arg, word value);

//@ tell_started
static void tell_started(const struct act *act, int actor, const struct record *seen)
{
	if (seen->raw > 0)
		say("returns pid(%s)", names[act->starts - 1]);
	else
		tell_result(act, actor, seen);
}

//@ tell_notification
static void tell_notification(const struct act *act, int actor, const struct record *seen)
{
	static word first[SLOTS];
	const struct seccomp_notif *got = (const void *)seen->data;
	int sender = actor_of(got->pid), args = 6;

	if (seen->raw != 0) {
		tell_result(act, actor, seen);
		return;
	}
	say("%s%s{", act->binds ? act->binds : "", act->binds ? " " : "");
	if (act->listener >= 0) {
		word *from = &first[act->listener];
		long by = got->id - *from;

		/* The name may have come to stand for another listener. */
		if (!*from || by >= 1L << 32 || by <= -(1L << 32))
			*from = got->id;
		else if (by)
			say("id %+ld, ", by);
	}
	if (sender >= 0)
		say("from %s, ", names[sender]);
	else
		say(got->pid == 0 ? "pid 0, " : "from an unknown pid, ");
	if (got->data.arch != AUDIT_ARCH_X86_64)
		say("%s ", arch_name(got->data.arch));
	say("%s(", call_name(got->data.nr, got->data.arch));
	while (args && !got->data.args[args - 1])
		args--;
	for (int arg = 0; arg < args; arg++) {
		word value = got->data.args[arg];
		const char *name = NULL, *whose;

		for (unsigned at = 0; at < sizeof things / sizeof *things; at++)
			if (things[at].at == value)
				name = things[at].name;
		say("%s", arg ? ", " : "");
		if (name)
			say("%s", name);
		else if (sender >= 0 && (whose = passed_id(sender, arg, value)))
			say("pid(%s)", whose);
		else
			say(value > 9 ? "%#lx" : "%lu", value);
	}
	say(")");
	if (sender >= 0 && got->data.instruction_pointer != shared->actor[sender].returns[0] &&
	    got->data.instruction_pointer != shared->actor[sender].returns[1])
		say(", not at the call");
	if (got->flags)
		say(", flags %#x", got->flags);
	say("}");
}

//@ tell_events
static void tell_events(const struct act *act, int actor, const struct record *seen)
{
	static const struct { unsigned bit; const char *name; } events[] = {
		{ POLLIN, "POLLIN" },   { POLLPRI, "POLLPRI" },   { POLLOUT, "POLLOUT" },
		{ POLLERR, "POLLERR" }, { POLLHUP, "POLLHUP" },   { POLLNVAL, "POLLNVAL" },
		{ 0x40, "POLLRDNORM" }, { 0x100, "POLLWRNORM" }, { 0x2000, "POLLRDHUP" },
	};
	const char *between = "";

	if (seen->raw < 0)
		tell_result(act, actor, seen);
	else if (!seen->data[0])
		say("nothing ready");
	else
		for (unsigned at = 0; at < sizeof events / sizeof *events; at++)
			if (seen->data[0] & events[at].bit) {
				say("%s%s", between, events[at].name);
				between = "|";
			}
}

//@ tell_sets
static void tell_sets(const struct act *act, int actor, const struct record *seen)
{
	static const char *const sets[] = { "readable", "writable", "exceptional" };
	const char *between = "";

	if (seen->raw < 0)
		tell_result(act, actor, seen);
	else if (!seen->data[0])
		say("nothing ready");
	for (int set = 0; seen->raw >= 0 && set < 3; set++)
		if (seen->data[0] >> set & 1) {
			say("%s%s", between, sets[set]);
			between = ", ";
		}
}

//@ say_text
static void say_text(const unsigned char *text, word size)
{
	say("reads \"");
	for (word at = 0; at < size && text[at]; at++) {
		if (text[at] == '\n' || text[at] == '\t' || text[at] == '\r')
			say("\\%c", text[at] == '\n' ? 'n' : text[at] == '\t' ? 't' : 'r');
		else if (text[at] == '"' || text[at] == '\\' || text[at] == '\'')
			say("\\%c", text[at]);
		else if (text[at] < 0x20 || text[at] > 0x7e)
			say("\\x%02x", text[at]);
		else
			say("%c", text[at]);
	}
	say("\"");
}

//@ tell_text
static void tell_text(const struct act *act, int actor, const struct record *seen)
{
	(void)act, (void)actor;
	say_text((const void *)seen->data, act->size);
}

//@ say_numbers
/* Numbers of `unit` bytes. */
static void say_numbers(const struct record *seen, word size, int unit)
{
	say("reads ");
	for (word at = 0; at + unit <= size; at += unit) {
		word value = 0;

		memcpy(&value, (const char *)seen->data + at, unit);
		say("%s%ld", at ? ", " : "", (long)value);
	}
}

//@ tell_numbers_2
static void tell_numbers_2(const struct act *act, int actor, const struct record *seen)
{
	(void)actor;
	say_numbers(seen, act->size, 2);
}

//@ tell_numbers_4
static void tell_numbers_4(const struct act *act, int actor, const struct record *seen)
{
	(void)actor;
	say_numbers(seen, act->size, 4);
}

//@ tell_numbers_8
static void tell_numbers_8(const struct act *act, int actor, const struct record *seen)
{
	(void)actor;
	say_numbers(seen, act->size, 8);
}

//@ tell_read
static void tell_read(const struct act *act, int actor, const struct record *seen)
{
	if (seen->raw < 0)
		tell_result(act, actor, seen);
	else if (seen->raw == 0)
		say("end of file");
	else
		say_text((const void *)seen->data, seen->raw);
}

//@ tell_number
static void tell_number(const struct act *act, int actor, const struct record *seen)
{
	if (seen->raw != 0)
		tell_result(act, actor, seen);
	else
		say("reads %ld", (long)seen->data[0]);
}

//@ tell_program
static void tell_program(const struct act *act, int actor, const struct record *seen)
{
	if (seen->raw > 0 && seen->data[0])
		say("reads the program of %s", programs[seen->data[0] - 1].name);
	else
		tell_result(act, actor, seen);
}

//@ say_end
static void say_end(const char *exited, int status)
{
	if (WIFEXITED(status))
		say("%s %d", exited, WEXITSTATUS(status));
	else
		say("killed by %s", signal_name(WTERMSIG(status)));
}

//@ tell_stop
static void tell_stop(const struct act *act, int actor, const struct record *seen)
{
	int status = seen->data[0], event = status >> 16;

	if (seen->raw <= 0)
		tell_result(act, actor, seen);
	else if (!WIFSTOPPED(status))
		say_end("exited", status);
	else if (event == PTRACE_EVENT_SECCOMP)
		say("PTRACE_EVENT_SECCOMP");
	else if (event == 128)
		say("PTRACE_EVENT_STOP");
	else if (event)
		say("event %d", event);
	else if (WSTOPSIG(status) & 0x80)
		say("call stop");
	else
		say("stop by %s", signal_name(WSTOPSIG(status)));
}

//@ tell_handler
static void tell_handler(int actor, const struct record *seen)
{
	const word *data = seen->data;
	int code = (int)data[2], error = (int)(data[1] >> 32);
	const word *returns = shared->actor[actor].returns;

	say("handler of %s ran", signal_name((int)seen->raw));
	if (!data[0])
		return;
	say(" {si_code %d", code);
	if (error)
		say(", si_errno %d", error);
	if (seen->raw == SIGSYS && code == 1) {
		unsigned arch = data[4] >> 32;

		say(", si_syscall %s, si_arch %s", call_name((int)data[4], arch), arch_name(arch));
		say(data[3] == returns[0] || data[3] == returns[1] ? ", si_call_addr after the call" :
								      ", si_call_addr elsewhere");
		say(data[7] == data[3] ? ", ip there" : ", ip elsewhere");
		say(", register %ld", (long)data[6]);
	}
	say("}");
}
