#include "conf/config_cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPUS_MAX  1024
#define PATH_SIZE 4096
#define LINE_SIZE 512

#define CGROUP_LIST "/proc/self/cgroup"
#define CGROUP_V2   "/sys/fs/cgroup"
#define CGROUP_V1   "/sys/fs/cgroup/cpu"

static unsigned
affinity_cpus(void)
{
	cpu_set_t set;
	long online;
	int n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0 &&
	    (n = CPU_COUNT(&set)) > 0)
		return (unsigned)n;
	/* A machine with more processors than cpu_set_t has bits. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (unsigned)online;
}

static bool
read_line(const char *path, char line[LINE_SIZE])
{
	FILE *f = fopen(path, "re");
	bool got;

	if (f == NULL)
		return false;
	got = fgets(line, LINE_SIZE, f) != NULL;
	(void)fclose(f);
	return got;
}

/* How many processors a quota is worth, rounded up; CPUS_MAX: there is none. */
static unsigned
quota_cpus(long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return CPUS_MAX;
	n = (quota - 1) / period + 1;
	return n > CPUS_MAX ? CPUS_MAX : (unsigned)n;
}

/* cgroup v2: "max 100000", or "150000 100000". */
static unsigned
folder_cpus_v2(const char *folder)
{
	char path[PATH_SIZE], line[LINE_SIZE], *rest;
	long long quota;

	if (snprintf(path, sizeof(path), "%s/cpu.max", folder) >= PATH_SIZE ||
	    !read_line(path, line) || strncmp(line, "max", 3) == 0)
		return CPUS_MAX;
	quota = strtoll(line, &rest, 10);
	return quota_cpus(quota, strtoll(rest, NULL, 10));
}

static unsigned
folder_cpus_v1(const char *folder)
{
	char path[PATH_SIZE], quota[LINE_SIZE], period[LINE_SIZE];

	if (snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder) >=
		PATH_SIZE ||
	    !read_line(path, quota))
		return CPUS_MAX;
	if (snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder) >=
		PATH_SIZE ||
	    !read_line(path, period))
		return CPUS_MAX;
	return quota_cpus(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The least of a folder and all those it is in, up to the mount. */
static unsigned
tree_cpus(const char *mount, const char *group,
    unsigned (*folder_cpus)(const char *))
{
	unsigned n, best = CPUS_MAX;
	char folder[PATH_SIZE];
	char *slash;

	if (snprintf(folder, sizeof(folder), "%s%s", mount, group) >= PATH_SIZE)
		return CPUS_MAX;
	for (;;) {
		n = folder_cpus(folder);
		if (n < best)
			best = n;
		slash = strrchr(folder, '/');
		if (slash == NULL || strlen(folder) <= strlen(mount))
			return best;
		*slash = '\0';
	}
}

/* Is "cpu" among "cpu,cpuacct"? */
static bool
has_controller(const char *list, size_t len)
{
	size_t word;

	for (; len > 0; list += word, len -= word) {
		word = strcspn(list, ",:");
		if (word == strlen("cpu") && strncmp(list, "cpu", word) == 0)
			return true;
		if (word < len)
			word++;
	}
	return false;
}

/* A line of /proc/self/cgroup: "0::/path", or "4:cpu,cpuacct:/path". */
static unsigned
line_cpus(char *line)
{
	char *list = strchr(line, ':'), *group;

	if (list == NULL || (group = strchr(list + 1, ':')) == NULL)
		return CPUS_MAX;
	list++;
	group[strcspn(group, "\n")] = '\0';
	if (list == group)
		return tree_cpus(CGROUP_V2, group + 1, folder_cpus_v2);
	if (has_controller(list, (size_t)(group - list)))
		return tree_cpus(CGROUP_V1, group + 1, folder_cpus_v1);
	return CPUS_MAX;
}

static unsigned
cgroup_cpus(void)
{
	unsigned n, best = CPUS_MAX;
	char line[PATH_SIZE];
	FILE *f = fopen(CGROUP_LIST, "re");

	if (f == NULL)
		return CPUS_MAX;
	while (fgets(line, sizeof(line), f) != NULL) {
		n = line_cpus(line);
		if (n < best)
			best = n;
	}
	(void)fclose(f);
	return best;
}

unsigned
config_cpus(void)
{
	unsigned affinity = affinity_cpus(), quota = cgroup_cpus();

	return quota < affinity ? quota : affinity;
}
