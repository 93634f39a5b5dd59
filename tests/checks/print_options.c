/* Prints the table of settings, for manual.sh. */
#include "conf/config.h"

int
main(void)
{
	config_print_options(stdout);
	return 0;
}
