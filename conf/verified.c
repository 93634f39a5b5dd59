#include "conf/verdict.h"

const char *
verified_name(enum verified v)
{
	switch (v) {
	case VERIFIED_NONE:
		return "none";
	case VERIFIED_PIN:
		return "pin";
	case VERIFIED_CA:
		return "ca";
	case VERIFIED_FULL:
		return "full";
	}
	return "none";
}
