/* suites.h - all there is to be played, for main() */
#ifndef TESTS_LOOP_SUITES_H
#define TESTS_LOOP_SUITES_H

/* servers.c */
void servers_that_answer_wrongly(void);
void servers_that_leave(void);
void servers_that_keep_silent(void);
void servers_with_certificates(void);
void servers_of_other_ways(void);

/* clients.c */
void clients_that_open_oddly(void);
void clients_with_tls(void);
void clients_that_end_oddly(void);
void clients_of_any_protocol(void);

/* cases.c */
void cancel_reaches_the_server_of_its_session(void);
void cancel_in_plaintext_passes_where_tls_is_required(void);
void cancel_is_kept_from_a_server_that_is_not_verified(void);
void more_sessions_than_allowed_are_told(void);
void next_server_is_taken_when_one_refuses(void);
void next_server_is_not_taken_when_one_is_wrong(void);
void client_that_vanishes_ends_the_dial(void);
void connect_timeout_is_told(void);

/* bulk.c */
void bulk_outlasts_a_paused_reader(void);

/* keys.c */
void keys_are_changed_on_both_legs(void);
void key_that_cannot_be_changed_is_logged(void);

/* wakes.c */
void units_wake_on_all_legs(void);
void units_wake_however_they_come(void);
void woken_sessions_end(void);
void wake_waits_for_no_reader(void);
void nothing_of_a_login_stays_in_shared_buffers(void);
void drain_of_the_woken(void);
void end_without_close_notify_is_what_its_protocol_says(void);

/* fronts.c */
void load_balancers_say_for_whom(void);
void servers_are_told_for_whom(void);
void clients_are_counted_by_their_header(void);
void sessions_come_at_their_rate(void);

/* members.c */
void units_are_told_in_other_words_on_all_legs(void);
void units_are_told_in_other_words_however_they_come(void);
void rewritten_units_outlast_a_paused_reader(void);
void session_goes_to_the_server_of_its_address(void);

/* waits.c */
void dial_waits_for_a_client_that_stays(void);
void client_that_left_at_once_is_not_dialled_for(void);
void client_that_spoke_at_once_is_refused_before_the_dial(void);
void drain_does_not_wait_for_a_dial(void);

/* moves.c */
void tls_begins_anew(void);
void redirects_are_followed_where_they_may(void);

/* drain.c */
void drain_lets_relays_end(void);
void drain_waits_for_no_reader(void);
void stop_ends_everything(void);
void drain_of_nobody_is_idle_at_once(void);

/* load.c */
void load_leaves_nothing(void);

#endif /* TESTS_LOOP_SUITES_H */
