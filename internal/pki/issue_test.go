package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/pki"
)

func TestACAIsOne(t *testing.T) {
	p := newCA(t, now)
	c := certificate(t, p)
	wantECDSA(t, p, c)
	type traits struct {
		IsCA, Valid, ZeroLength bool
		Usage                   x509.KeyUsage
		NotBefore, NotAfter     time.Time
		HasKeyID                bool
	}
	got := traits{
		c.IsCA, c.BasicConstraintsValid, c.MaxPathLen == 0 && c.MaxPathLenZero, c.KeyUsage,
		c.NotBefore, c.NotAfter, len(c.SubjectKeyId) > 0,
	}
	want := traits{
		true, true, true, x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		now.Add(-pki.Backdate).Truncate(time.Second), now.Add(year).Truncate(time.Second), true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the CA differs from what is wanted (-want +got):\n%s", diff)
	}
	if err := c.CheckSignatureFrom(c); err != nil {
		t.Errorf("the CA did not sign itself: %v", err)
	}
	if other := certificate(t, newCA(t, now)); string(other.RawSubject) == string(c.RawSubject) ||
		other.SerialNumber.Cmp(c.SerialNumber) == 0 {
		t.Errorf("two CAs of one name share subject %q or serial %s", c.Subject, c.SerialNumber)
	}
}

// wantECDSA checks what is the same for all certificates that are made here.
func wantECDSA(t *testing.T, p pki.Pair, c *x509.Certificate) {
	t.Helper()
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is %T, want ECDSA P-256", c.PublicKey)
	}
	if !strings.HasPrefix(string(p.Key), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("the key is not in PKCS #8")
	}
	if c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 128 || c.SerialNumber.Cmp(big.NewInt(1<<62)) < 0 {
		t.Errorf("the serial number %s is not of 128 random bits", c.SerialNumber)
	}
}

func TestNamesOfCAs(t *testing.T) {
	for name, test := range map[string]struct {
		name, prefix string
		fault        string
	}{
		"the name begins the subject":      {name: "shop/demo peers", prefix: "shop/demo peers "},
		"a long name is cut":               {name: strings.Repeat("a", 200), prefix: strings.Repeat("a", 51) + " "},
		"half a character does not remain": {name: strings.Repeat("é", 40), prefix: strings.Repeat("é", 25) + " "},
		"none is refused":                  {name: "", fault: "a CA needs a name"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pki.NewCA(test.name, now, year)
			wantError(t, err, test.fault)
			if err != nil {
				return
			}
			cn := certificate(t, p).Subject.CommonName
			if !strings.HasPrefix(cn, test.prefix) || len(cn) != len(test.prefix)+12 || len(cn) > 64 {
				t.Errorf("got common name %q, want %q and 12 random characters", cn, test.prefix)
			}
		})
	}
}

func TestALeafIsWhatIsRequested(t *testing.T) {
	ca := newCA(t, now)
	for name, r := range map[string]pki.Request{
		"a peer":                         peer(),
		"a server":                       peer(usages(true, false)),
		"a client":                       peer(usages(false, true), names(), addresses(), commonName("root")),
		"a client without common name":   peer(usages(false, true), commonName("")),
		"an organization":                peer(organization("system:masters")),
		"a wildcard":                     peer(names("*.demo-peers.shop.svc")),
		"names in capitals and repeated": peer(names("Demo.Example", "demo.example", "a_b.example")),
		"addresses in other notations":   peer(addresses("FD00:0::1", "fd00::1", "::ffff:10.0.0.1")),
	} {
		t.Run(name, func(t *testing.T) {
			p := issue(t, ca, r, now)
			c := certificate(t, p)
			wantECDSA(t, p, c)
			if d := pki.Differs(c, r); d != "" {
				t.Errorf("the certificate differs from the request: it %s", d)
			}
			if l := pki.Lacks(c, r); l != "" {
				t.Errorf("the certificate does not serve the request: it %s", l)
			}
			if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature || !c.BasicConstraintsValid {
				t.Errorf("got CA %t, key usage %b; want a leaf for digital signatures", c.IsCA, c.KeyUsage)
			}
			if trust(t, ca).Issuer(c) == nil {
				t.Errorf("the CA did not sign the certificate")
			}
			keyOf(t, p)
		})
	}
}

func TestNamesAndAddressesAreWrittenOnceAndInOrder(t *testing.T) {
	c := certificate(t, issue(t, newCA(t, now), peer(names("b", "A", "a"), addresses("fd00:0::1", "10.0.0.1", "fd00::1")), now))
	if diff := cmp.Diff([]string{"a", "b"}, c.DNSNames); diff != "" {
		t.Errorf("the names differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("[10.0.0.1 fd00::1]", fmt.Sprint(c.IPAddresses)); diff != "" {
		t.Errorf("the addresses differ (-want +got):\n%s", diff)
	}
}

func TestTimesOfALeaf(t *testing.T) {
	second := now.Truncate(time.Second)
	for name, test := range map[string]struct {
		caAge    time.Duration // at the time of issue
		lifetime time.Duration
		from, to time.Time
	}{
		"it is backdated by five minutes": {hour, 24 * hour, second.Add(-5 * time.Minute), second.Add(24 * hour)},
		"a short one is backdated by its lifetime": {
			hour, 2 * time.Minute, second.Add(-2 * time.Minute), second.Add(2 * time.Minute),
		},
		"it is backdated by as much under a new CA": {0, 24 * hour, second.Add(-5 * time.Minute), second.Add(24 * hour)},
		"it does not outlive its CA":                {year - hour, 24 * hour, second.Add(-5 * time.Minute), second.Add(hour)},
		"it is backdated by what is left of its CA": {
			year - time.Minute, 24 * hour, second.Add(-time.Minute), second.Add(time.Minute),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := certificate(t, issue(t, newCA(t, now.Add(-test.caAge)), peer(lifetime(test.lifetime)), now))
			// The CA ends on a whole second, so what is left of it is shorter than that by the fraction of now.
			if !near(c.NotBefore, test.from) || !near(c.NotAfter, test.to) {
				t.Errorf("valid from %s to %s, want %s to %s", c.NotBefore, c.NotAfter, test.from, test.to)
			}
		})
	}
	t.Run("it is not valid before a CA that a clock ahead has made", func(t *testing.T) {
		ca := newCA(t, now.Add(2*time.Minute))
		c := certificate(t, issue(t, ca, peer(), now))
		if want := certificate(t, ca).NotBefore; !c.NotBefore.Equal(want) {
			t.Errorf("valid from %s, want from the start of its CA, %s", c.NotBefore, want)
		}
	})
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Second }

func TestANewCertificateIsNotDueForRenewal(t *testing.T) {
	ca := newCA(t, now)
	for _, life := range []time.Duration{
		10 * time.Second, time.Minute, 5 * time.Minute, 6 * time.Minute, hour, 90 * 24 * hour,
	} {
		due := pki.RenewAt(certificate(t, issue(t, ca, peer(lifetime(life)), now)))
		if due.Before(now.Add(life/3-time.Second)) || due.After(now.Add(life*2/3)) {
			t.Errorf("one for %s is due %s after its issue, want between a third and two thirds", life, due.Sub(now))
		}
	}
}

func TestRenewAtIsAfterTwoThirds(t *testing.T) {
	for name, test := range map[string]struct{ life, want time.Duration }{
		"of 90 days":               {90 * 24 * hour, 60 * 24 * hour},
		"of a minute":              {time.Minute, 40 * time.Second},
		"of 290 years":             {290 * year, 290 * year / 3 * 2},
		"of a life that never was": {-hour, -40 * time.Minute},
	} {
		c := &x509.Certificate{NotBefore: now, NotAfter: now.Add(test.life)}
		if got := pki.RenewAt(c).Sub(now); got != test.want {
			t.Errorf("%s: due after %s, want %s", name, got, test.want)
		}
	}
	endless := &x509.Certificate{NotBefore: now, NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
	if due := pki.RenewAt(endless); due.Before(now.Add(190 * year)) {
		t.Errorf("one without end is due at %s", due)
	}
}

func TestRefusedRequests(t *testing.T) {
	ca := newCA(t, now)
	for name, test := range map[string]struct {
		request pki.Request
		fault   string
	}{
		"for nothing":                   {peer(usages(false, false)), "neither servers nor clients"},
		"a server without name":         {peer(names(), addresses()), "needs a DNS name or an address"},
		"a client without name":         {pki.Request{Client: true, Lifetime: hour}, "needs a common name"},
		"no lifetime":                   {peer(lifetime(0)), "the lifetime 0s is shorter than one second"},
		"a negative lifetime":           {peer(lifetime(-hour)), "the lifetime -1h0m0s is shorter"},
		"a long common name":            {peer(commonName(strings.Repeat("n", 65))), "longer than 64 bytes"},
		"a long organization":           {peer(organization(strings.Repeat("n", 65))), "longer than 64 bytes"},
		"a common name that is no text": {peer(commonName("a\xff")), "sign a certificate"},
		"no address":                    {peer(addresses("10.0.0")), `"10.0.0" is not an IP address`},
		"an address with a zone":        {peer(addresses("fe80::1%eth0")), "is not an IP address without zone"},
		"an address with a port":        {peer(addresses("10.0.0.1:2379")), "is not an IP address"},
		"an address as a name":          {peer(names("10.0.0.1")), `the DNS name "10.0.0.1" is an address`},
		"an empty name":                 {peer(names("")), `the DNS name "" has an empty label`},
		"a name with two dots":          {peer(names("a..b")), "has an empty label"},
		"a name with a dot at the end":  {peer(names("a.")), "has an empty label"},
		"a bare wildcard":               {peer(names("*")), "a wildcard only as its first label"},
		"a wildcard of nothing":         {peer(names("*.")), "has an empty label"},
		"a wildcard inside":             {peer(names("a.*.b")), "a wildcard only as its first label"},
		"a part of a label as wildcard": {peer(names("a*.b")), "a wildcard only as its first label"},
		"a URL":                         {peer(names("https://a")), "may only have letters"},
		"a name with a line break":      {peer(names("a\nb")), `the DNS name "a\nb" may only have letters`},
		"a name in another script":      {peer(names("é.example")), "may only have letters"},
		"a label with a hyphen first":   {peer(names("-a.b")), "begins or ends with a hyphen"},
		"a long label":                  {peer(names(strings.Repeat("a", 64))), "longer than 63 bytes"},
		"a long name":                   {peer(names(strings.Repeat("a.", 127) + "a")), "longer than 253 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pki.Issue(ca, test.request, now)
			wantError(t, err, test.fault)
			if p.Cert != nil || p.Key != nil {
				t.Errorf("a refused request gave a pair")
			}
		})
	}
}

func TestRefusedIssuers(t *testing.T) {
	good := newCA(t, now)
	for name, test := range map[string]struct {
		ca    pki.Pair
		at    time.Time
		fault string
	}{
		"none":           {pki.Pair{}, now, "CA: certificate: no PEM block: it is empty"},
		"a leaf":         {issue(t, good, peer(), now), now, "is not a CA"},
		"another's key":  {pki.Pair{Cert: good.Cert, Key: newCA(t, now).Key}, now, "does not belong to the certificate"},
		"one of the old": {good, now.Add(2 * year), "is valid until 2028-03-03T05:06:07Z, it is now 2029-03-03T05:06:07Z"},
		"one to come":    {good, now.Add(-hour), "is not valid before 2027-03-04T05:01:07Z, it is now 2027-03-04T04:06:07Z"},
		"no time":        {good, time.Time{}, "is not valid before"},
		"one that must not sign certificates": {
			foreignCA(t, "x", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }).pair(t), now,
			"its key usage does not allow it to sign certificates",
		},
		"one for other names": {
			foreignCA(t, "x", nil, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} }).pair(t), now,
			"the CA must not issue this certificate",
		},
		"one for clients only": {
			foreignCA(t, "x", nil, func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}).pair(t), now,
			"incompatible key usage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pki.Issue(test.ca, peer(), test.at)
			wantError(t, err, test.fault)
		})
	}
}

func TestNewCARefusesTimesThatAreNone(t *testing.T) {
	_, err := pki.NewCA("demo", now, time.Millisecond)
	wantError(t, err, "the lifetime 1ms is shorter than one second")
	_, err = pki.NewCA("demo", time.Time{}, year)
	wantError(t, err, "the time is not given")
}

func TestUsersCAsCanIssue(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(t), "Ed25519": ed25519Key(t), "ECDSA": ecdsaKey(t)} {
		t.Run(name, func(t *testing.T) {
			ca := pki.Pair{Key: pkcs8(t, key)}
			ca.Cert = chain(foreign(t, nil, key, func(c *x509.Certificate) {
				c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
			}))
			p := issue(t, ca, peer(), now)
			if err := trust(t, ca).Verify(p.Cert, x509.ExtKeyUsageServerAuth, now); err != nil {
				t.Errorf("the certificate is not accepted: %v", err)
			}
		})
	}
}
