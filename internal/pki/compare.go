package pki

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Differs says in what a certificate differs from what Issue makes of the request, "; " between the differences; empty
// when in nothing. It compares common name, organization, and the sets of names, addresses and usages: one too many is
// a difference as well, so that a name that is no longer wanted goes away. The lifetime is not compared.
//
// A request whose names or addresses are not valid differs from every certificate; Issue fails for the same reason.
func Differs(c *x509.Certificate, r Request) string {
	wanted, err := r.wanted()
	if err != nil {
		return err.Error()
	}
	var d differences
	if has := c.Subject.CommonName; has != r.CommonName {
		d = append(d, "has the common name "+quote(has)+" instead of "+quote(r.CommonName))
	}
	if has := strings.Join(c.Subject.Organization, ", "); has != r.Organization {
		d = append(d, "has the organization "+quote(has)+" instead of "+quote(r.Organization))
	}
	has := identityOf(c)
	d.compare("DNS name", has.names, wanted.names)
	d.compare("address", has.addresses, wanted.addresses)
	d.compare("usage", has.usages, wanted.usages)
	return d.String()
}

// Lacks says what a certificate that others issued lacks to serve the request, "; " between the faults; empty when it
// will do. Names are matched as TLS clients do it, wildcards included; a wildcard of the request only matches itself.
// A certificate without extended key usages, or with "any", is good for all. More than is requested is no fault. The
// common name counts if one is requested; the organization and the lifetime do not.
func Lacks(c *x509.Certificate, r Request) string {
	wanted, err := r.wanted()
	if err != nil {
		return err.Error()
	}
	unmatched := func(host string) bool { return c.VerifyHostname(host) != nil }
	var d differences
	if has := c.Subject.CommonName; r.CommonName != "" && has != r.CommonName {
		d = append(d, "has the common name "+quote(has)+" instead of "+quote(r.CommonName))
	}
	d.lacks("DNS name", filter(wanted.names, unmatched))
	d.lacks("address", filter(wanted.addresses, unmatched))
	d.lacks("usage", filter(wanted.usages, func(u string) bool { return !usable(c, u) }))
	return d.String()
}

func usable(c *x509.Certificate, usage string) bool {
	has := identityOf(c).usages
	return len(has) == 0 || slices.Contains(has, usage) || slices.Contains(has, usageName(x509.ExtKeyUsageAny))
}

// differences are parts of a sentence whose subject is a certificate.
type differences []string

func (d differences) String() string { return strings.Join(d, "; ") }

func (d *differences) compare(what string, has, wanted []string) {
	in := func(set []string) func(string) bool {
		return func(s string) bool { _, found := slices.BinarySearch(set, s); return !found }
	}
	d.lacks(what, filter(wanted, in(has)))
	if more := filter(has, in(wanted)); len(more) > 0 {
		*d = append(*d, "has the unwanted "+list(what, more))
	}
}

func (d *differences) lacks(what string, missing []string) {
	if len(missing) > 0 {
		*d = append(*d, "lacks the "+list(what, missing))
	}
}

func filter(from []string, keep func(string) bool) []string {
	var kept []string
	for _, s := range from {
		if keep(s) {
			kept = append(kept, s)
		}
	}
	return kept
}
