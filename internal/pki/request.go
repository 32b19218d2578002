package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxName is the longest common name and organization that RFC 5280 allows (ub-common-name), in bytes.
const maxName = 64

// Request describes a leaf certificate. Order, repetition and upper case in its names and addresses do not matter.
type Request struct {
	// CommonName is the user in etcd's authentication and what --peer-cert-allowed-cn is compared with; at most 64 bytes.
	CommonName string
	// Organization is optional; at most 64 bytes.
	Organization string
	// DNSNames may begin with a wildcard label: "*.demo-peers.shop.svc".
	DNSNames []string
	// IPs are IPv4 or IPv6 addresses without zone.
	IPs []string
	// Server and Client are the extended key usages: a listener needs the first, a dialler the second, an etcd peer both.
	Server, Client bool
	// Lifetime counts from the time of issue; at least a second.
	Lifetime time.Duration
}

// Validate says why no certificate can be issued for the request; nil when one can.
func (r Request) Validate() error {
	if _, err := r.wanted(); err != nil {
		return err
	}
	switch {
	case len(r.CommonName) > maxName:
		return fmt.Errorf("the common name %s is longer than %d bytes", quote(r.CommonName), maxName)
	case len(r.Organization) > maxName:
		return fmt.Errorf("the organization %s is longer than %d bytes", quote(r.Organization), maxName)
	case !r.Server && !r.Client:
		return errors.New("a certificate for neither servers nor clients is good for nothing")
	case r.Server && len(r.DNSNames)+len(r.IPs) == 0:
		return errors.New("a server's certificate needs a DNS name or an address: clients do not look at the common name")
	case r.CommonName == "" && len(r.DNSNames)+len(r.IPs) == 0:
		return errors.New("a certificate needs a common name, a DNS name or an address")
	case r.Lifetime < time.Second:
		return fmt.Errorf("the lifetime %s is shorter than one second", r.Lifetime)
	}
	return nil
}

// identity is who a certificate is for, and for which usages: sorted sets in canonical notation.
type identity struct {
	names, addresses, usages []string
}

func (r Request) wanted() (identity, error) {
	var w identity
	for _, name := range r.DNSNames {
		name = strings.ToLower(name)
		if fault := nameFault(name); fault != "" {
			return identity{}, fmt.Errorf("the DNS name %s %s", quote(name), fault)
		}
		w.names = append(w.names, name)
	}
	for _, ip := range r.IPs {
		a, err := netip.ParseAddr(ip)
		if err != nil || a.Zone() != "" {
			return identity{}, fmt.Errorf("%s is not an IP address without zone", quote(ip))
		}
		w.addresses = append(w.addresses, a.Unmap().String())
	}
	for _, u := range r.usages() {
		w.usages = append(w.usages, usageName(u))
	}
	return w.sorted(), nil
}

// identityOf is that of a certificate as it is: its names need not be valid.
func identityOf(c *x509.Certificate) identity {
	var has identity
	for _, name := range c.DNSNames {
		has.names = append(has.names, strings.ToLower(name))
	}
	for _, ip := range c.IPAddresses {
		a, _ := netip.AddrFromSlice(ip) // 4 or 16 bytes, or the parser had refused it
		has.addresses = append(has.addresses, a.Unmap().String())
	}
	for _, u := range c.ExtKeyUsage {
		has.usages = append(has.usages, usageName(u))
	}
	for _, oid := range c.UnknownExtKeyUsage {
		has.usages = append(has.usages, oid.String())
	}
	return has.sorted()
}

func (i identity) sorted() identity {
	for _, set := range []*[]string{&i.names, &i.addresses, &i.usages} {
		slices.Sort(*set)
		*set = slices.Compact(*set)
	}
	return i
}

func (r Request) usages() []x509.ExtKeyUsage {
	var usages []x509.ExtKeyUsage
	if r.Server {
		usages = append(usages, x509.ExtKeyUsageServerAuth)
	}
	if r.Client {
		usages = append(usages, x509.ExtKeyUsageClientAuth)
	}
	return usages
}

func usageName(u x509.ExtKeyUsage) string {
	switch u {
	case x509.ExtKeyUsageServerAuth:
		return "server"
	case x509.ExtKeyUsageClientAuth:
		return "client"
	case x509.ExtKeyUsageAny:
		return "any"
	default:
		return fmt.Sprintf("number %d of crypto/x509", u)
	}
}

// nameFault is the end of the sentence that says why a lower-case name cannot be in a certificate; empty when it can.
// As crypto/x509 does, it allows underscores, which are no part of host names but of many names in use.
func nameFault(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return "is an address: give it as one"
	}
	if len(name) > 253 {
		return "is longer than 253 bytes"
	}
	rest := strings.TrimPrefix(name, "*.")
	for label := range strings.SplitSeq(rest, ".") {
		switch {
		case label == "":
			return "has an empty label"
		case len(label) > 63:
			return "has a label longer than 63 bytes"
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return "has a label that begins or ends with a hyphen"
		case strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			return "may only have letters, digits, hyphens and dots, and a wildcard only as its first label"
		}
	}
	return ""
}
