#include "proxy/privileges.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CAPABILITY(n)    (UINT64_C(1) << (n))
#define CAPABILITY_WORDS _LINUX_CAPABILITY_U32S_3
#define WORD_BITS        32

struct capabilities {
	uint64_t permitted;
	uint64_t effective;
};

static bool
forbid_core_dumps(void)
{
	const struct rlimit none = { .rlim_cur = 0 };

	/* Only the second holds where dumps are piped to a program. */
	return setrlimit(RLIMIT_CORE, &none) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int
privileges_begin(struct err *err)
{
	if (!forbid_core_dumps())
		return err_set_errno(err,
		    "privileges: core dumps cannot be turned off");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_set_errno(err,
		    "privileges: no_new_privs cannot be set");
	return 0;
}

/* A connection from an address that is not ours asks for it each time; a
 * listener that takes such connections has been made by then. */
static bool
needs_foreign_addresses(const struct config *c)
{
	size_t i;

	for (i = 0; i < c->nendpoints; i++) {
		if (c->endpoints[i]->source_client)
			return true;
	}
	return false;
}

int
privileges_plan(const struct config *c, struct privileges_plan *plan,
    struct err *err)
{
	const struct passwd *pw;

	*plan = (struct privileges_plan){ .user = c->user,
		.uid = geteuid(),
		.gid = getegid(),
		.foreign = needs_foreign_addresses(c) };
	if (c->user == NULL)
		return 0;
	if ((pw = getpwnam(c->user)) == NULL)
		return err_set(err,
		    "user: there is no user \"%s\"; make one, as with "
		    "`useradd --system %s`",
		    c->user, c->user);
	if (pw->pw_uid == 0)
		return err_set(err,
		    "user: \"%s\" is root by another name; make a user for "
		    "dbtls, as with `useradd --system dbtls`",
		    c->user);
	plan->uid = pw->pw_uid;
	plan->gid = pw->pw_gid;
	plan->changes = geteuid() != plan->uid;
	return 0;
}

int
privileges_possible(const struct privileges_plan *plan, struct err *err)
{
	if (!plan->changes || geteuid() == 0)
		return 0;
	return err_set(err,
	    "user: only root can become \"%s\"; start it as root, or as that "
	    "user, or leave the setting out",
	    plan->user);
}

/*
 * Capabilities, by the kernel's own calls: there is no library to ask for.
 */

static int
capabilities_get(struct capabilities *c)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[CAPABILITY_WORDS] = { { 0 } };

	if (syscall(SYS_capget, &head, data) == -1)
		return -1;
	c->permitted =
	    (uint64_t)data[1].permitted << WORD_BITS | data[0].permitted;
	c->effective =
	    (uint64_t)data[1].effective << WORD_BITS | data[0].effective;
	return 0;
}

/* Permitted and effective; what a program that is executed would inherit:
 * none. */
static int
capabilities_set(uint64_t set)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[CAPABILITY_WORDS] = { { 0 } };

	data[0].permitted = data[0].effective = (uint32_t)set;
	data[1].permitted = data[1].effective = (uint32_t)(set >> WORD_BITS);
	return syscall(SYS_capset, &head, data) == -1 ? -1 : 0;
}

/* Either would do; the first cannot change the machine's network. */
static uint64_t
capabilities_to_keep(const struct privileges_plan *plan,
    const struct capabilities *c)
{
	if (!plan->foreign)
		return 0;
	if (c->permitted & CAPABILITY(CAP_NET_RAW))
		return CAPABILITY(CAP_NET_RAW);
	return c->permitted & CAPABILITY(CAP_NET_ADMIN);
}

/* So that no set-uid program could give any of them back; without the right to
 * do so it is no_new_privs alone that keeps them away. */
static void
limit_bounding_set(uint64_t keep)
{
	unsigned long n;

	for (n = 0; n <= CAP_LAST_CAP; n++) {
		if ((keep & CAPABILITY(n)) == 0)
			(void)prctl(PR_CAPBSET_DROP, n, 0, 0, 0);
	}
}

static int
become(const struct privileges_plan *plan, struct err *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1 ||
	    setgroups(0, NULL) == -1 ||
	    setresgid(plan->gid, plan->gid, plan->gid) == -1 ||
	    setresuid(plan->uid, plan->uid, plan->uid) == -1 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
		return err_set_errno(err, "user: cannot become \"%s\"",
		    plan->user);
	return 0;
}

/* Root that nobody was named for stays what it is. */
static bool
stays_root(const struct privileges_plan *plan)
{
	return plan->user == NULL && geteuid() == 0;
}

/* Not what was asked of the kernel, but what came of it. */
static int
verify(const struct privileges_plan *plan, uint64_t keep, struct err *err)
{
	struct capabilities c = { 0 };
	uid_t uid[3] = { 0 };
	gid_t gid[3] = { 0 };

	if (capabilities_get(&c) == -1 || c.permitted != keep ||
	    c.effective != keep)
		return err_set(err,
		    "privileges: capabilities that were given up are still "
		    "there");
	if (!plan->changes)
		return 0;
	if (getresuid(&uid[0], &uid[1], &uid[2]) == -1 ||
	    getresgid(&gid[0], &gid[1], &gid[2]) == -1 || uid[0] != plan->uid ||
	    uid[1] != plan->uid || uid[2] != plan->uid || gid[0] != plan->gid ||
	    gid[1] != plan->gid || gid[2] != plan->gid ||
	    setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
		return err_set(err,
		    "privileges: the process could become root again");
	return 0;
}

int
privileges_drop(const struct privileges_plan *plan, struct err *err)
{
	struct capabilities had = { 0 };
	uint64_t keep;

	if (stays_root(plan))
		return 0;
	if (capabilities_get(&had) == -1)
		return err_set_errno(err,
		    "privileges: cannot tell which capabilities there are");
	keep = capabilities_to_keep(plan, &had);
	limit_bounding_set(keep);
	if (plan->changes && become(plan, err) == -1)
		return -1;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (capabilities_set(keep) == -1)
		return err_set_errno(err,
		    "privileges: cannot give up capabilities");
	/* Another user makes the kernel forget it. */
	if (!forbid_core_dumps())
		return err_set_errno(err,
		    "privileges: core dumps cannot be turned off");
	return verify(plan, keep, err);
}

int
privileges_now(struct privileges *p, struct err *err)
{
	struct capabilities c = { 0 };
	struct rlimit core = { 0 };
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	int no_new = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	if (capabilities_get(&c) == -1 || getrlimit(RLIMIT_CORE, &core) == -1 ||
	    dumpable == -1 || no_new == -1)
		return err_set_errno(err,
		    "privileges: the kernel does not say what they are");
	*p = (struct privileges){ .uid = geteuid(),
		.gid = getegid(),
		.capabilities = c.permitted | c.effective,
		.no_new_privileges = no_new == 1,
		.core_dumps = dumpable != 0 || core.rlim_max != 0 };
	return 0;
}

const char *
privileges_capabilities(uint64_t capabilities, char text[PRIVILEGES_TEXT_MAX])
{
	if (capabilities == 0)
		(void)snprintf(text, PRIVILEGES_TEXT_MAX, "none");
	else if (capabilities == CAPABILITY(CAP_NET_RAW))
		(void)snprintf(text, PRIVILEGES_TEXT_MAX, "cap_net_raw");
	else if (capabilities == CAPABILITY(CAP_NET_ADMIN))
		(void)snprintf(text, PRIVILEGES_TEXT_MAX, "cap_net_admin");
	else
		(void)snprintf(text, PRIVILEGES_TEXT_MAX, "0x%llx",
		    (unsigned long long)capabilities);
	return text;
}
