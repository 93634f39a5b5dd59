#include "conf/verdict.h"

#include <stddef.h>

#include <openssl/x509_vfy.h>

#include "conf/trust.h"

/* Remedies that several errors share. */
#define ASK_REISSUE   "have the certificate issued again"
#define ASK_CHAIN     "the one who runs the server must install its chain anew"
#define ASK_CLOCK     "check the clock of this machine"
#define ASK_RENEW     "renew the certificate"
#define ASK_STRONGER  "renew it with RSA 2048 or P-256 and SHA-256, or more"
#define ASK_CRL       "fetch the CA's current CRL into crl"
#define ASK_CRL_SOUND "fetch the CRL from its CA again"
#define ASK_CA        "put the CA that issued it into ca"
#define ASK_OTHER_CA  "have another CA issue it: this one may not for that name"
#define ASK_NO_BUG    "report this: it should not happen"

/*
 * What each of OpenSSL's errors is called here, and what to do about it.  The
 * sentence goes on from "server certificate" or `CA certificate "CN=x"`.  What
 * concerns CRLs is crl_expired throughout: there is no CRL at hand that is in
 * date and may be relied upon, and the remedy is always another CRL.
 */
static const struct x509_words table[] = {
	{ X509_V_ERR_UNSPECIFIED, REASON_INTERNAL, "could not be checked",
	    ASK_NO_BUG },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, REASON_UNTRUSTED,
	    "was issued by a CA that is missing", ASK_CA },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, REASON_CRL_EXPIRED,
	    "cannot be checked for revocation: no CRL of its issuer", ASK_CRL },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, REASON_UNTRUSTED,
	    "has a signature that is damaged", ASK_CHAIN },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, REASON_CRL_EXPIRED,
	    "has a CRL whose signature is damaged", ASK_CRL_SOUND },
	{ X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, REASON_UNTRUSTED,
	    "has an issuer whose public key cannot be read", ASK_CHAIN },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, REASON_UNTRUSTED,
	    "has a signature that is not its issuer's",
	    "another CA of the same name signed it: " ASK_CA },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE, REASON_CRL_EXPIRED,
	    "has a CRL that its CA did not sign", ASK_CRL_SOUND },
	{ X509_V_ERR_CERT_NOT_YET_VALID, REASON_NOT_YET_VALID,
	    "is not valid yet", ASK_CLOCK },
	{ X509_V_ERR_CERT_HAS_EXPIRED, REASON_EXPIRED, "has expired",
	    ASK_RENEW },
	{ X509_V_ERR_CRL_NOT_YET_VALID, REASON_CRL_EXPIRED,
	    "has a CRL that is not valid yet", ASK_CLOCK },
	{ X509_V_ERR_CRL_HAS_EXPIRED, REASON_CRL_EXPIRED,
	    "has a CRL that has expired", ASK_CRL },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, REASON_NOT_YET_VALID,
	    "has a notBefore that is no date", ASK_REISSUE },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, REASON_EXPIRED,
	    "has a notAfter that is no date", ASK_REISSUE },
	{ X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD, REASON_CRL_EXPIRED,
	    "has a CRL whose lastUpdate is no date", ASK_CRL_SOUND },
	{ X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD, REASON_CRL_EXPIRED,
	    "has a CRL whose nextUpdate is no date", ASK_CRL_SOUND },
	{ X509_V_ERR_OUT_OF_MEM, REASON_INTERNAL,
	    "could not be checked: out of memory", "" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, REASON_UNTRUSTED,
	    "is self-signed, and is not listed in ca itself",
	    "list this very certificate in ca to trust it" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, REASON_UNTRUSTED,
	    "is a root that is not listed in ca",
	    "list this root in ca if it is to be trusted" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, REASON_UNTRUSTED,
	    "was issued by a CA that is missing", ASK_CA },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, REASON_UNTRUSTED,
	    "was issued by a CA that is missing", ASK_CA },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, REASON_UNTRUSTED,
	    "ends a chain that is too long", ASK_CHAIN },
	{ X509_V_ERR_CERT_REVOKED, REASON_REVOKED, "was revoked by its issuer",
	    ASK_RENEW },
	{ X509_V_ERR_NO_ISSUER_PUBLIC_KEY, REASON_UNTRUSTED,
	    "has an issuer without a public key", ASK_CHAIN },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, REASON_WRONG_USAGE,
	    "has more CAs below it than its pathlen allows", ASK_CHAIN },
	{ X509_V_ERR_INVALID_PURPOSE, REASON_WRONG_USAGE,
	    "is not meant for this use by its key usage", ASK_REISSUE },
	{ X509_V_ERR_CERT_UNTRUSTED, REASON_UNTRUSTED,
	    "is marked in ca as not trusted for this use", ASK_CA },
	{ X509_V_ERR_CERT_REJECTED, REASON_UNTRUSTED,
	    "is marked in ca as rejected for this use", ASK_CA },
	{ X509_V_ERR_SUBJECT_ISSUER_MISMATCH, REASON_UNTRUSTED,
	    "names another issuer than the CA that follows", ASK_CHAIN },
	{ X509_V_ERR_AKID_SKID_MISMATCH, REASON_UNTRUSTED,
	    "names another issuer's key than the CA's that follows",
	    ASK_CHAIN },
	{ X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH, REASON_UNTRUSTED,
	    "names another serial than that of the CA that follows",
	    ASK_CHAIN },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, REASON_WRONG_USAGE,
	    "was issued by one that may not sign certificates", ASK_CHAIN },
	{ X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, REASON_CRL_EXPIRED,
	    "has a CRL whose issuer is missing", ASK_CA },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, REASON_WRONG_USAGE,
	    "has a critical extension that is not known here", ASK_REISSUE },
	{ X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, REASON_CRL_EXPIRED,
	    "has a CRL by one that may not sign CRLs", ASK_CRL_SOUND },
	{ X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, REASON_CRL_EXPIRED,
	    "has a CRL with a critical extension not known here",
	    ASK_CRL_SOUND },
	{ X509_V_ERR_INVALID_NON_CA, REASON_WRONG_USAGE,
	    "is a CA where none may be", ASK_REISSUE },
	{ X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED, REASON_WRONG_USAGE,
	    "has more proxy certificates below it than it allows", ASK_CHAIN },
	{ X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE, REASON_WRONG_USAGE,
	    "may not make digital signatures by its key usage", ASK_REISSUE },
	{ X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED, REASON_WRONG_USAGE,
	    "is a proxy certificate, and those are not accepted", ASK_REISSUE },
	{ X509_V_ERR_INVALID_EXTENSION, REASON_UNTRUSTED,
	    "has an extension that cannot be read", ASK_REISSUE },
	{ X509_V_ERR_INVALID_POLICY_EXTENSION, REASON_UNTRUSTED,
	    "has a policy extension that cannot be read", ASK_REISSUE },
	{ X509_V_ERR_NO_EXPLICIT_POLICY, REASON_WRONG_USAGE,
	    "lacks the policy that its chain demands", ASK_REISSUE },
	{ X509_V_ERR_DIFFERENT_CRL_SCOPE, REASON_CRL_EXPIRED,
	    "has a CRL that is about other certificates", ASK_CRL },
	{ X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE, REASON_UNTRUSTED,
	    "has an extension with a feature not known here", ASK_REISSUE },
	{ X509_V_ERR_UNNESTED_RESOURCE, REASON_UNTRUSTED,
	    "claims addresses that its issuer does not have", ASK_CHAIN },
	{ X509_V_ERR_PERMITTED_VIOLATION, REASON_UNTRUSTED,
	    "has a name outside those that its CA may issue for",
	    ASK_OTHER_CA },
	{ X509_V_ERR_EXCLUDED_VIOLATION, REASON_UNTRUSTED,
	    "has a name that its CA must not issue for", ASK_OTHER_CA },
	{ X509_V_ERR_SUBTREE_MINMAX, REASON_UNTRUSTED,
	    "has name constraints with a minimum or maximum", ASK_CHAIN },
	{ X509_V_ERR_APPLICATION_VERIFICATION, REASON_PIN_MISMATCH,
	    "was refused by the pins", "" },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, REASON_UNTRUSTED,
	    "has name constraints of a type not known here", ASK_CHAIN },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, REASON_UNTRUSTED,
	    "has name constraints that cannot be read", ASK_CHAIN },
	{ X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, REASON_UNTRUSTED,
	    "has a name that name constraints cannot be applied to",
	    ASK_REISSUE },
	{ X509_V_ERR_CRL_PATH_VALIDATION_ERROR, REASON_CRL_EXPIRED,
	    "has a CRL whose own chain does not hold", ASK_CRL_SOUND },
	{ X509_V_ERR_PATH_LOOP, REASON_UNTRUSTED,
	    "is in a chain that goes in circles", ASK_CHAIN },
	{ X509_V_ERR_SUITE_B_INVALID_VERSION, REASON_WEAK,
	    "has a version that Suite B does not allow", ASK_STRONGER },
	{ X509_V_ERR_SUITE_B_INVALID_ALGORITHM, REASON_WEAK,
	    "has an algorithm that Suite B does not allow", ASK_STRONGER },
	{ X509_V_ERR_SUITE_B_INVALID_CURVE, REASON_WEAK,
	    "has a curve that Suite B does not allow", ASK_STRONGER },
	{ X509_V_ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM, REASON_WEAK,
	    "has a signature that Suite B does not allow", ASK_STRONGER },
	{ X509_V_ERR_SUITE_B_LOS_NOT_ALLOWED, REASON_WEAK,
	    "has a curve too weak for this level of Suite B", ASK_STRONGER },
	{ X509_V_ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256, REASON_WEAK,
	    "has a P-384 key signed with a P-256 one", ASK_STRONGER },
	{ X509_V_ERR_HOSTNAME_MISMATCH, REASON_NAME_MISMATCH,
	    "is for another name", "" },
	{ X509_V_ERR_EMAIL_MISMATCH, REASON_NAME_MISMATCH,
	    "is for another mail address", "" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, REASON_NAME_MISMATCH,
	    "is for another address", "" },
	{ X509_V_ERR_DANE_NO_MATCH, REASON_UNTRUSTED, "matches no TLSA record",
	    ASK_CA },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, REASON_WEAK,
	    "has a key too weak for the security level", ASK_STRONGER },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, REASON_WEAK,
	    "has a key too weak for the security level", ASK_STRONGER },
	{ X509_V_ERR_CA_MD_TOO_WEAK, REASON_WEAK,
	    "is signed with a digest too weak for the security level",
	    ASK_STRONGER },
	{ X509_V_ERR_INVALID_CALL, REASON_INTERNAL, "could not be checked",
	    ASK_NO_BUG },
	{ X509_V_ERR_STORE_LOOKUP, REASON_INTERNAL,
	    "could not be checked: looking up its issuer failed", ASK_NO_BUG },
	{ X509_V_ERR_NO_VALID_SCTS, REASON_UNTRUSTED,
	    "has no valid proof of having been logged", ASK_REISSUE },
	{ X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION, REASON_UNTRUSTED,
	    "is a proxy certificate with a name not its own", ASK_REISSUE },
	{ X509_V_ERR_OCSP_VERIFY_NEEDED, REASON_REVOKED,
	    "came without the OCSP answer that is demanded", ASK_CHAIN },
	{ X509_V_ERR_OCSP_VERIFY_FAILED, REASON_REVOKED,
	    "came with an OCSP answer that does not hold", ASK_CHAIN },
	{ X509_V_ERR_OCSP_CERT_UNKNOWN, REASON_REVOKED,
	    "is not known to its issuer's OCSP responder", ASK_REISSUE },
	{ X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM, REASON_WEAK,
	    "has a key or signature of a kind not supported here",
	    ASK_STRONGER },
	{ X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, REASON_UNTRUSTED,
	    "has a signature of another kind than its issuer's key",
	    ASK_REISSUE },
	{ X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY, REASON_UNTRUSTED,
	    "names two different signature algorithms", ASK_REISSUE },
	{ X509_V_ERR_INVALID_CA, REASON_WRONG_USAGE,
	    "signed a certificate without being a CA", ASK_CHAIN },
	{ X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA, REASON_WRONG_USAGE,
	    "has a pathlen without being a CA", ASK_REISSUE },
	{ X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN, REASON_WRONG_USAGE,
	    "has a pathlen, and may not sign certificates", ASK_REISSUE },
	{ X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA, REASON_WRONG_USAGE,
	    "may sign certificates without being a CA", ASK_REISSUE },
	{ X509_V_ERR_ISSUER_NAME_EMPTY, REASON_UNTRUSTED,
	    "does not name its issuer", ASK_REISSUE },
	{ X509_V_ERR_SUBJECT_NAME_EMPTY, REASON_UNTRUSTED, "has no subject",
	    ASK_REISSUE },
	{ X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, REASON_UNTRUSTED,
	    "has no authorityKeyIdentifier, which webpki demands",
	    ASK_REISSUE },
	{ X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, REASON_UNTRUSTED,
	    "has no subjectKeyIdentifier, which webpki demands", ASK_REISSUE },
	{ X509_V_ERR_EMPTY_SUBJECT_ALT_NAME, REASON_UNTRUSTED,
	    "has a subjectAltName that is empty", ASK_REISSUE },
	{ X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL, REASON_UNTRUSTED,
	    "has no subject, and a subjectAltName that is not critical",
	    ASK_REISSUE },
	{ X509_V_ERR_CA_BCONS_NOT_CRITICAL, REASON_WRONG_USAGE,
	    "is a CA whose basicConstraints are not critical", ASK_REISSUE },
	{ X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL, REASON_UNTRUSTED,
	    "has an authorityKeyIdentifier that is critical", ASK_REISSUE },
	{ X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL, REASON_UNTRUSTED,
	    "has a subjectKeyIdentifier that is critical", ASK_REISSUE },
	{ X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, REASON_WRONG_USAGE,
	    "is a CA without keyUsage, which webpki demands", ASK_REISSUE },
	{ X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3, REASON_UNTRUSTED,
	    "has extensions, and a version that has none", ASK_REISSUE },
	{ X509_V_ERR_EC_KEY_EXPLICIT_PARAMS, REASON_WEAK,
	    "has a curve given by parameters and not by name", ASK_STRONGER },
};

/* For a code that a later OpenSSL has and this table has not. */
static const struct x509_words unknown = { X509_V_ERR_UNSPECIFIED,
	REASON_UNTRUSTED, "was not accepted by OpenSSL", "" };

const struct x509_words *
x509_words(int error)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].error == error)
			return &table[i];
	}
	return &unknown;
}

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
