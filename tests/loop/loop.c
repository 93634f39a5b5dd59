/*
 * loop.c - the whole proxy in one process, between clients and servers that
 * do what they should not
 *
 * usage: loop [TEST]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/Basic.h>

#include "tests/loop/suites.h"

#define TEST(name)          \
	{                   \
#name, name \
	}
static const CU_TestInfo all_tests[] = {
	TEST(servers_that_answer_wrongly),
	TEST(servers_that_leave),
	TEST(servers_that_keep_silent),
	TEST(servers_with_certificates),
	TEST(servers_of_other_ways),
	TEST(clients_that_open_oddly),
	TEST(clients_with_tls),
	TEST(clients_that_end_oddly),
	TEST(clients_of_any_protocol),
	TEST(load_balancers_say_for_whom),
	TEST(servers_are_told_for_whom),
	TEST(clients_are_counted_by_their_header),
	TEST(sessions_come_at_their_rate),
	TEST(cancel_reaches_the_server_of_its_session),
	TEST(cancel_in_plaintext_passes_where_tls_is_required),
	TEST(cancel_is_kept_from_a_server_that_is_not_verified),
	TEST(more_sessions_than_allowed_are_told),
	TEST(next_server_is_taken_when_one_refuses),
	TEST(next_server_is_not_taken_when_one_is_wrong),
	TEST(client_that_vanishes_ends_the_dial),
	TEST(connect_timeout_is_told),
	TEST(bulk_outlasts_a_paused_reader),
	TEST(keys_are_changed_on_both_legs),
	TEST(key_that_cannot_be_changed_is_logged),
	TEST(units_wake_on_all_legs),
	TEST(units_wake_however_they_come),
	TEST(woken_sessions_end),
	TEST(wake_waits_for_no_reader),
	TEST(nothing_of_a_login_stays_in_shared_buffers),
	TEST(drain_of_the_woken),
	TEST(end_without_close_notify_is_what_its_protocol_says),
	TEST(units_are_told_in_other_words_on_all_legs),
	TEST(units_are_told_in_other_words_however_they_come),
	TEST(rewritten_units_outlast_a_paused_reader),
	TEST(session_goes_to_the_server_of_its_address),
	TEST(dial_waits_for_a_client_that_stays),
	TEST(client_that_left_at_once_is_not_dialled_for),
	TEST(client_that_spoke_at_once_is_refused_before_the_dial),
	TEST(drain_does_not_wait_for_a_dial),
	TEST(tls_begins_anew),
	TEST(redirects_are_followed_where_they_may),
	TEST(drain_lets_relays_end),
	TEST(drain_waits_for_no_reader),
	TEST(stop_ends_everything),
	TEST(drain_of_nobody_is_idle_at_once),
	TEST(load_leaves_nothing),
};
#undef TEST
#define TESTS (sizeof(all_tests) / sizeof(all_tests[0]))

int
main(int argc, char **argv)
{
	CU_pSuite suite;
	unsigned failures;
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)unsetenv("SSL_CERT_FILE");
	(void)unsetenv("SSL_CERT_DIR");
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    (suite = CU_add_suite("loop", NULL, NULL)) == NULL)
		return 1;
	for (i = 0; i < TESTS; i++) {
		if (argc > 1 && strcmp(argv[1], all_tests[i].pName) != 0)
			continue;
		if (CU_add_test(suite, all_tests[i].pName,
			all_tests[i].pTestFunc) == NULL)
			return 1;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	(void)CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures > 0;
}
