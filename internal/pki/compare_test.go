package pki_test

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/pki"
)

func TestDiffers(t *testing.T) {
	c := certificate(t, issue(t, newCA(t, now), peer(organization("o")), now))
	same := organization("o")
	for name, test := range map[string]struct {
		request pki.Request
		want    string
	}{
		"not from what was requested": {peer(same), ""},
		"not in order, repetition, capitals or notation": {
			peer(same, names("localhost", "LOCALHOST", "demo-0.demo-peers.shop.svc"), addresses("fd00:0::1", "127.0.0.1")), "",
		},
		"not in the lifetime":       {peer(same, lifetime(hour)), ""},
		"in a new name":             {peer(same, names("localhost", "demo-0.demo-peers.shop.svc", "b", "a")), `lacks the DNS names "a", "b"`},
		"in a removed name":         {peer(same, names("localhost")), `has the unwanted DNS name "demo-0.demo-peers.shop.svc"`},
		"in a new address":          {peer(same, addresses("127.0.0.1", "fd00::1", "10.0.0.1")), `lacks the address "10.0.0.1"`},
		"in removed addresses":      {peer(same, addresses()), `has the unwanted addresses "127.0.0.1", "fd00::1"`},
		"in a usage too many":       {peer(same, usages(true, false)), `has the unwanted usage "client"`},
		"in all usages":             {peer(same, usages(false, false)), `has the unwanted usages "client", "server"`},
		"in the common name":        {peer(same, commonName("root")), `has the common name "0a1b2c3d" instead of "root"`},
		"in having a common name":   {peer(same, commonName("")), `has the common name "0a1b2c3d" instead of ""`},
		"in the organization":       {peer(), `has the organization "o" instead of ""`},
		"a name only matches so":    {peer(same, names("localhost", "*.demo-peers.shop.svc")), `lacks the DNS name "*.demo-peers.shop.svc"; has the unwanted DNS name "demo-0.demo-peers.shop.svc"`},
		"from a request of no name": {peer(names("a b")), `the DNS name "a b" may only have letters, digits, hyphens and dots, and a wildcard only as its first label`},
		"from one of no address":    {peer(addresses("x")), `"x" is not an IP address without zone`},
	} {
		t.Run(name, func(t *testing.T) { wantDifference(t, pki.Differs(c, test.request), test.want) })
	}
}

func wantDifference(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDiffersFromAForeignCertificate(t *testing.T) {
	key := ecdsaKey(t)
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		want   string
	}{
		"in usages of other protocols": {func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageAny, x509.ExtKeyUsageCodeSigning)
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}}
		}, `has the unwanted usages "1.2.3", "any", "number 3 of crypto/x509"`},
		"in having no usages": {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, `lacks the usage "client"`},
		"in hostile names, briefly": {func(c *x509.Certificate) {
			for i := range 500 {
				c.DNSNames = append(c.DNSNames, fmt.Sprintf("%03d\n%s", i, strings.Repeat("x", 500)))
			}
		}, `and 495 more`},
		"not in capitals": {func(c *x509.Certificate) {
			c.DNSNames = append(c.DNSNames, "A.EXAMPLE")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := pki.Request{CommonName: "foreign", DNSNames: []string{"a.example"}, Client: true}
			c := foreign(t, nil, key, func(c *x509.Certificate) {
				c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []string{"a.example"}
				test.change(c)
			})
			got := pki.Differs(c, r)
			if (got == "") != (test.want == "") || !strings.HasSuffix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if len(got) > 1000 || strings.Contains(got, "\n") {
				t.Errorf("the difference does not fit into a condition: %d bytes", len(got))
			}
		})
	}
}

func TestLacks(t *testing.T) {
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	good := func(c *x509.Certificate) {
		c.Subject.CommonName, c.ExtKeyUsage = "0a1b2c3d", both
		c.DNSNames = []string{"*.demo-peers.shop.svc", "localhost", "more.example"}
		c.IPAddresses = []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP("fd00::1"), net.ParseIP("10.0.0.1")}
	}
	key := ecdsaKey(t)
	for name, test := range map[string]struct {
		change  func(*x509.Certificate)
		request pki.Request
		want    string
	}{
		"nothing, with a wildcard, more names and more addresses": {good, peer(), ""},
		"nothing, without extended key usages":                    {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, peer(), ""},
		"nothing, with any usage": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}, peer(), ""},
		"nothing, with a usage more":            {good, peer(usages(true, false)), ""},
		"nothing, if no common name is wanted":  {good, peer(commonName("")), ""},
		"nothing, whatever its organization":    {good, peer(organization("o")), ""},
		"nothing, whatever the lifetime":        {good, peer(lifetime(0)), ""},
		"nothing, in other capitals":            {good, peer(names("LocalHost")), ""},
		"nothing, if the wildcard is requested": {good, peer(names("*.demo-peers.shop.svc")), ""},
		"a name":                                {good, peer(names("localhost", "demo.shop.svc")), `lacks the DNS name "demo.shop.svc"`},
		"a name two labels below the wildcard":  {good, peer(names("a.b.demo-peers.shop.svc")), `lacks the DNS name "a.b.demo-peers.shop.svc"`},
		"the name of the wildcard itself":       {good, peer(names("demo-peers.shop.svc")), `lacks the DNS name "demo-peers.shop.svc"`},
		"a wildcard, though one name matches":   {good, peer(names("*.example")), `lacks the DNS name "*.example"`},
		"addresses":                             {good, peer(addresses("10.0.0.2", "fd00::2", "fd00::1")), `lacks the addresses "10.0.0.2", "fd00::2"`},
		"the common name":                       {good, peer(commonName("root")), `has the common name "0a1b2c3d" instead of "root"`},
		"a usage": {func(c *x509.Certificate) { c.ExtKeyUsage = both[:1] }, peer(),
			`lacks the usage "client"`},
		"both usages": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}, peer(), `lacks the usages "client", "server"`},
		"both usages, of which it has only an unknown one": {func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}, peer(), `lacks the usages "client", "server"`},
		"all names, when only the common name has it": {func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses, c.Subject.CommonName = nil, nil, "localhost"
		}, peer(commonName(""), names("localhost"), addresses()), `lacks the DNS name "localhost"`},
		"what is no name": {good, peer(names("a b")), `the DNS name "a b" may only have letters, digits, hyphens and dots, and a wildcard only as its first label`},
	} {
		t.Run(name, func(t *testing.T) {
			c := foreign(t, nil, key, func(c *x509.Certificate) { good(c); test.change(c) })
			wantDifference(t, pki.Lacks(c, test.request), test.want)
		})
	}
}
