/*
 * config_cpus.h - on how many processors may we run?
 */
#ifndef CONF_CONFIG_CPUS_H
#define CONF_CONFIG_CPUS_H

/* By the affinity mask and the quota of the cgroup, whichever is less; at
 * least 1. */
unsigned config_cpus(void);

#endif /* CONF_CONFIG_CPUS_H */
