package pki_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/pki"
)

func TestABundleIsASet(t *testing.T) {
	oldPair, newPair := newCA(t, now), newCA(t, now.Add(hour))
	oldest, newest := certificate(t, oldPair), certificate(t, newPair)
	both := pki.NewBundle(oldest, newest)
	for name, b := range map[string]pki.Bundle{
		"in another order":           pki.NewBundle(newest, oldest),
		"with repetition and none":   pki.NewBundle(newest, nil, oldest, newest),
		"as a union":                 pki.NewBundle(newest).With(pki.NewBundle(oldest)),
		"as a union with itself":     both.With(both),
		"as a union with none":       pki.Bundle{}.With(both).With(pki.Bundle{}),
		"as written and read":        must(pki.ParseBundle(both.PEM()))(t),
		"as read with comments":      must(pki.ParseBundle(slices.Concat([]byte("# old\n"), oldPair.Cert, []byte("# new\n"), newPair.Cert)))(t),
		"as read in another order":   must(pki.ParseBundle(slices.Concat(newPair.Cert, oldPair.Cert)))(t),
		"as read from another parse": pki.NewBundle(certificate(t, newPair), certificate(t, oldPair)),
	} {
		t.Run(name, func(t *testing.T) {
			if b.Hash() != both.Hash() || !bytes.Equal(b.PEM(), both.PEM()) || len(b.Certificates()) != 2 {
				t.Errorf("got %s with hash %s, want %s with %s", b, b.Hash(), both, both.Hash())
			}
			if !b.Contains(both) || !both.Contains(b) {
				t.Errorf("%s and %s do not contain each other", b, both)
			}
		})
	}
	if got := both.Certificates(); !got[0].Equal(oldest) || !got[1].Equal(newest) {
		t.Errorf("got the order %s, want the oldest first", both)
	}
	if want := fmt.Sprintf("CAs %q, %q", oldest.Subject, newest.Subject); both.String() != want {
		t.Errorf("prints as %s, want %s", both, want)
	}
	if len(both.Hash()) != 16 || both.Hash() == pki.NewBundle(oldest).Hash() {
		t.Errorf("the hash %s is not that of the content", both.Hash())
	}
}

func TestABundleDoesNotChange(t *testing.T) {
	ca, other := certificate(t, newCA(t, now)), certificate(t, newCA(t, now))
	given := []*x509.Certificate{ca}
	b := pki.NewBundle(given...)
	given[0] = other
	b.Certificates()[0] = other
	_ = b.With(pki.NewBundle(other))
	if got := b.Certificates(); len(got) != 1 || !got[0].Equal(ca) {
		t.Errorf("the bundle became %s", b)
	}
}

func TestContains(t *testing.T) {
	a, b := trust(t, newCA(t, now)), trust(t, newCA(t, now))
	for name, test := range map[string]struct {
		outer, inner pki.Bundle
		want         bool
	}{
		"both contain one":      {a.With(b), b, true},
		"one lacks the other":   {a, b, false},
		"one lacks one of both": {a, a.With(b), false},
		"all contain none":      {a, pki.Bundle{}, true},
		"none contains none":    {pki.Bundle{}, pki.Bundle{}, true},
		"none lacks one":        {pki.Bundle{}, a, false},
	} {
		if got := test.outer.Contains(test.inner); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
}

func TestTheEmptyBundleTrustsNobody(t *testing.T) {
	var none pki.Bundle
	p := issue(t, newCA(t, now), peer(), now)
	if !none.Empty() || none.Hash() != "" || len(none.PEM()) != 0 || none.String() != "no CA" {
		t.Errorf("got hash %q, PEM %q, name %q", none.Hash(), none.PEM(), none)
	}
	// A nil pool would stand for the CAs of the machine.
	if pool := none.Pool(); pool == nil || !pool.Equal(x509.NewCertPool()) {
		t.Errorf("the pool %v is not an empty one", pool)
	}
	wantError(t, none.Verify(p.Cert, x509.ExtKeyUsageServerAuth, now), "signed by unknown authority")
	if ca := none.Issuer(certificate(t, p)); ca != nil {
		t.Errorf("the empty bundle has the issuer %s", ca.Subject)
	}
}

func TestRefusedBundles(t *testing.T) {
	ca := newCA(t, now)
	leaf := issue(t, ca, peer(), now)
	unmarked := foreignCA(t, "old", nil, func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false })
	plain := foreign(t, nil, ecdsaKey(t), func(*x509.Certificate) {})
	crl := foreignCA(t, "lists", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	for name, test := range map[string]struct {
		pem   []byte
		fault string
	}{
		"nothing":                   {nil, "no PEM block: it is empty"},
		"a key":                     {ca.Key, "PEM block 1 is a PRIVATE KEY, not a certificate"},
		"a CA and its key":          {slices.Concat(ca.Cert, ca.Key), "PEM block 2 is a PRIVATE KEY, not a certificate"},
		"a leaf":                    {leaf.Cert, `the certificate "CN=0a1b2c3d" is not a CA`},
		"a CA and a leaf":           {slices.Concat(ca.Cert, leaf.Cert), `the certificate "CN=0a1b2c3d" is not a CA`},
		"a CA that does not say so": {chain(unmarked.cert), "its basic constraints do not say so"},
		"a leaf without key usage":  {chain(plain), "its basic constraints do not say so"},
		"one that signs lists only": {chain(crl.cert), "its key usage does not allow it to sign certificates"},
		"a trusted certificate":     {block("TRUSTED CERTIFICATE", nil), "is a TRUSTED CERTIFICATE, not a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := pki.ParseBundle(test.pem)
			wantError(t, err, test.fault)
			if !b.Empty() {
				t.Errorf("a refused bundle gave %s", b)
			}
		})
	}
	if _, err := pki.ParseBundle(chain(foreignCA(t, "any use", nil, func(c *x509.Certificate) { c.KeyUsage = 0 }).cert)); err != nil {
		t.Errorf("a CA without key usage, which allows all, is refused: %v", err)
	}
}

func TestIssuer(t *testing.T) {
	first, second := newCA(t, now), newCA(t, now)
	twin := foreignCA(t, certificate(t, first).Subject.CommonName, nil)
	if !bytes.Equal(twin.cert.RawSubject, certificate(t, first).RawSubject) {
		t.Fatalf("the twin has another name: %s", twin.cert.Subject)
	}
	both := trust(t, first, second)
	for name, test := range map[string]struct {
		bundle pki.Bundle
		leaf   pki.Pair
		want   *pki.Pair
	}{
		"the CA that signed":                      {both, issue(t, first, peer(), now), &first},
		"the other CA that signed":                {both, issue(t, second, peer(), now), &second},
		"none of other CAs":                       {trust(t, second), issue(t, first, peer(), now), nil},
		"not a CA that has only the name":         {both, issue(t, twin.pair(t), peer(), now), nil},
		"the CA, beside another of its name":      {both.With(pki.NewBundle(twin.cert)), issue(t, first, peer(), now), &first},
		"a self-signed one itself":                {both, first, &first},
		"the CA of one that is expired by now":    {both, issue(t, first, peer(lifetime(time.Second)), now), &first},
		"the CA of one that begins with its name": {both, issue(t, first, peer(commonName("")), now), &first},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.bundle.Issuer(certificate(t, test.leaf))
			of := test.bundle.IssuerOf(test.leaf.Cert)
			if (got == nil) != (test.want == nil) || got != of || got != nil && !got.Equal(certificate(t, *test.want)) {
				t.Errorf("got %s, and %s for the chain", subject(got), subject(of))
			}
		})
	}
}

func subject(c *x509.Certificate) string {
	if c == nil {
		return "no issuer"
	}
	return c.Subject.String() + " since " + c.NotBefore.String()
}

func TestTheNewestCertificateOfACAIsTheIssuer(t *testing.T) {
	root := foreignCA(t, "root", nil)
	renewed := foreign(t, nil, root.key, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage, c.NotBefore = "root", true, x509.KeyUsageCertSign, now.Add(-time.Minute)
	})
	c := certificate(t, issue(t, root.pair(t), peer(), now))
	if pki.NewBundle(root.cert).Hash() == pki.NewBundle(renewed).Hash() {
		t.Errorf("two certificates of one CA have the same hash")
	}
	if got := pki.NewBundle(root.cert, renewed).Issuer(c); !renewed.Equal(got) {
		t.Errorf("got %s, want the renewed certificate", subject(got))
	}
}

func TestIssuerOfAChain(t *testing.T) {
	root := foreignCA(t, "root", nil)
	upper := foreignCA(t, "upper", root)
	lower := foreignCA(t, "lower", upper)
	// Two CAs that signed each other lead nowhere.
	left, right := foreignCA(t, "left", nil), foreignCA(t, "right", nil)
	cross := func(ca, by *parent) *x509.Certificate {
		return foreign(t, by, ca.key, func(c *x509.Certificate) {
			c.Subject, c.IsCA, c.KeyUsage = ca.cert.Subject, true, x509.KeyUsageCertSign
		})
	}
	leaf := certificate(t, issue(t, lower.pair(t), peer(), now))
	lost := certificate(t, issue(t, left.pair(t), peer(), now))
	ofLeaf := certificate(t, issue(t, foreignCA(t, "x", nil).pair(t), peer(), now))
	for name, test := range map[string]struct {
		bundle *x509.Certificate
		chain  []byte
		want   bool
	}{
		"through the intermediates":            {root.cert, chain(leaf, lower.cert, upper.cert), true},
		"through intermediates out of order":   {root.cert, chain(leaf, upper.cert, lower.cert), true},
		"with the root in the chain":           {root.cert, chain(leaf, lower.cert, upper.cert, root.cert), true},
		"when an intermediate is trusted":      {lower.cert, chain(leaf), true},
		"when one above it is trusted":         {upper.cert, chain(leaf, lower.cert), true},
		"not without an intermediate":          {root.cert, chain(leaf, upper.cert), false},
		"not when the leaf is another":         {root.cert, chain(ofLeaf, leaf, lower.cert, upper.cert), false},
		"not through a leaf":                   {root.cert, chain(lost, leaf, lower.cert, upper.cert), false},
		"not around a circle":                  {root.cert, chain(lost, cross(left, right), cross(right, left)), false},
		"out of a circle":                      {root.cert, chain(lost, cross(left, right), cross(right, left), cross(right, root)), true},
		"not for what is no chain":             {root.cert, []byte("x"), false},
		"not when a chain is too long to read": {root.cert, bytes.Repeat(chain(leaf, lower.cert, upper.cert), 6), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := pki.NewBundle(test.bundle)
			got := b.IssuerOf(test.chain)
			if (got != nil) != test.want || got != nil && !got.Equal(test.bundle) {
				t.Errorf("got %s, want one: %t", subject(got), test.want)
			}
			if err := b.Verify(test.chain, x509.ExtKeyUsageServerAuth, now); (err == nil) != test.want {
				t.Errorf("got %v of Verify, want an acceptance: %t", err, test.want)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	ca := newCA(t, now)
	both := issue(t, ca, peer(), now)
	client := issue(t, ca, peer(usages(false, true)), now)
	twin := foreignCA(t, certificate(t, ca).Subject.CommonName, nil)
	for name, test := range map[string]struct {
		leaf  []byte
		usage x509.ExtKeyUsage
		at    time.Time
		fault string
	}{
		"a peer is a server":                      {both.Cert, x509.ExtKeyUsageServerAuth, now, ""},
		"a peer is a client":                      {both.Cert, x509.ExtKeyUsageClientAuth, now, ""},
		"any usage is fine":                       {client.Cert, x509.ExtKeyUsageAny, now, ""},
		"a client is no server":                   {client.Cert, x509.ExtKeyUsageServerAuth, now, "incompatible key usage"},
		"it is valid four minutes earlier":        {both.Cert, x509.ExtKeyUsageServerAuth, now.Add(-4 * time.Minute), ""},
		"it is not valid six minutes earlier":     {both.Cert, x509.ExtKeyUsageServerAuth, now.Add(-6 * time.Minute), "is before"},
		"it is valid until its end":               {both.Cert, x509.ExtKeyUsageServerAuth, now.Add(24*hour - time.Second), ""},
		"it is not valid after its end":           {both.Cert, x509.ExtKeyUsageServerAuth, now.Add(24 * hour), "is after"},
		"a CA that only has the name is not it":   {issue(t, twin.pair(t), peer(), now).Cert, x509.ExtKeyUsageServerAuth, now, "unknown authority"},
		"another CA is not it":                    {issue(t, newCA(t, now), peer(), now).Cert, x509.ExtKeyUsageServerAuth, now, "unknown authority"},
		"what is no certificate is said to be so": {both.Key, x509.ExtKeyUsageServerAuth, now, "PEM block 1 is a PRIVATE KEY"},
		"without a time none is taken":            {both.Cert, x509.ExtKeyUsageServerAuth, time.Time{}, "the time is not given"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, trust(t, ca).Verify(test.leaf, test.usage, test.at), test.fault)
		})
	}
}

func TestErrorsOfVerifyAreThoseOfX509AndBrief(t *testing.T) {
	long := foreignCA(t, strings.Repeat("x", 5000), nil)
	twin := foreignCA(t, long.cert.Subject.CommonName, nil)
	p := must(pki.Issue(long.pair(t), peer(), now))(t)
	err := pki.NewBundle(twin.cert).Verify(p.Cert, x509.ExtKeyUsageServerAuth, now)
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("got %v, want an x509.UnknownAuthorityError", err)
	}
	if err != nil && len(err.Error()) > 600 {
		t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
	}
	err = pki.NewBundle(long.cert).Verify(p.Cert, x509.ExtKeyUsageServerAuth, now.Add(-hour/2))
	invalid := x509.CertificateInvalidError{}
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want an x509.CertificateInvalidError", err)
	}
	if diff := cmp.Diff(x509.Expired, invalid.Reason); diff != "" {
		t.Errorf("another reason (-want +got):\n%s", diff)
	}
}
