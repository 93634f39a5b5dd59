/* unit.h - what the main() of every unit test does */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <stddef.h>
#include <stdint.h>

#include <CUnit/CUnit.h>

/* Runs these suites, which CU_SUITE_INFO_NULL ends, and returns the status to
 * exit with: 0 if no test has failed. */
int unit_run(CU_SuiteInfo *suites);

/* So many bytes of which none tells the next; to free(). */
uint8_t *unit_pattern(size_t len);

#endif /* TESTS_UNIT_UNIT_H */
