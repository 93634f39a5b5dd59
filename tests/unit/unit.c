#include "tests/unit/unit.h"

#include <assert.h>
#include <stdlib.h>

#include <CUnit/Basic.h>

int
unit_run(CU_SuiteInfo *suites)
{
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS ||
	    CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	(void)CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures > 0;
}

uint8_t *
unit_pattern(size_t len)
{
	uint8_t *bytes = malloc(len);
	size_t i;

	assert(bytes != NULL);
	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	return bytes;
}
