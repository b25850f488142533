/* ---- filters ---- */

//@ install
static long install(const struct sock_filter *code, unsigned short len, word flags)
{
	struct sock_fprog program = { len, (struct sock_filter *)code };

	return RAW(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, (word)&program);
}

//@ install_by_prctl
static long install_by_prctl(const struct sock_filter *code, unsigned short len)
{
	struct sock_fprog program = { len, (struct sock_filter *)code };

	return RAW(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (word)&program);
}
