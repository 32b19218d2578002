package pki_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/pki"
)

func TestAPairNeverShowsItsKey(t *testing.T) {
	p := issue(t, newCA(t, now), peer(), now)
	pairs := map[string]pki.Pair{
		"a good one":                       p,
		"the key instead of a certificate": {Cert: p.Key, Key: p.Key},
		"the key within the chain":         {Cert: bytes.Join([][]byte{p.Cert, p.Key}, nil), Key: p.Key},
		"a key and no certificate":         {Key: p.Key},
		"a damaged key":                    {Cert: p.Cert, Key: p.Key[:len(p.Key)/2]},
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			nested := struct{ P pki.Pair }{pair}
			shown := []string{pair.String(), pair.GoString()}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				for _, what := range []any{pair, &pair, nested, &nested, []pki.Pair{pair}, map[string]pki.Pair{"a": pair}} {
					shown = append(shown, fmt.Sprintf(verb, what))
				}
			}
			shown = append(shown, string(must(json.Marshal(nested))(t)))
			if _, err := pki.ParsePair(pair); err != nil {
				shown = append(shown, err.Error(), fmt.Sprintf("%#v", err))
			}
			for _, s := range shown {
				wantNoKey(t, s, p.Key)
			}
		})
	}
	want := `"CN=0a1b2c3d" sha256:` + pki.Fingerprint(certificate(t, p))
	if got := fmt.Sprintf("%+v", p); got != want {
		t.Errorf("a pair prints as %s, want %s", got, want)
	}
	if got := fmt.Sprint(pki.Pair{Key: p.Key}); got != "no certificate" {
		t.Errorf("a pair without certificate prints as %s", got)
	}
	if got, want := string(must(json.Marshal(p))(t)), string(must(json.Marshal(want))(t)); got != want {
		t.Errorf("a pair marshals as %s, want %s", got, want)
	}
}

// wantNoKey fails if any eight bytes of the key are in the text: as PEM, as hexadecimal or decimal bytes.
func wantNoKey(t *testing.T, text string, keyPEM []byte) {
	t.Helper()
	b, _ := pem.Decode(keyPEM)
	body := base64.StdEncoding.EncodeToString(b.Bytes)
	for i := 0; i+8 <= len(body); i++ {
		part := body[i : i+8]
		for _, form := range []string{part, fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), fmt.Sprintf("%d", []byte(part))[1:20]} {
			if strings.Contains(text, form) {
				t.Fatalf("%q shows %q of the key", text, form)
			}
		}
	}
}

func TestKeysOfAllFormats(t *testing.T) {
	ec, rsa, ed := ecdsaKey(t), rsaKey(t), ed25519Key(t)
	leaf := func(*x509.Certificate) {}
	ofEC := chain(foreign(t, nil, ec, leaf))
	ofRSA := chain(foreign(t, nil, rsa, leaf))
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))(t))
	curve := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	for name, p := range map[string]pki.Pair{
		"ECDSA in PKCS #8":              {Cert: ofEC, Key: pkcs8(t, ec)},
		"ECDSA in SEC 1":                {Cert: ofEC, Key: sec1},
		"ECDSA with the curve before":   {Cert: ofEC, Key: append(bytes.Clone(curve), sec1...)},
		"RSA in PKCS #8":                {Cert: ofRSA, Key: pkcs8(t, rsa)},
		"RSA in PKCS #1":                {Cert: ofRSA, Key: block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa))},
		"Ed25519":                       {Cert: chain(foreign(t, nil, ed, leaf)), Key: pkcs8(t, ed)},
		"with comments":                 {Cert: append([]byte("subject=x\n"), ofEC...), Key: append([]byte("Bag\n"), sec1...)},
		"with line ends of Windows":     {Cert: windows(ofEC), Key: windows(sec1)},
		"without line end":              {Cert: bytes.TrimSpace(ofEC), Key: bytes.TrimSpace(sec1)},
		"with empty lines at the ends":  {Cert: append([]byte("\n\n"), ofEC...), Key: append(bytes.Clone(sec1), " \n\n"...)},
		"with the CA after the leaf":    {Cert: append(bytes.Clone(ofEC), ofRSA...), Key: sec1},
		"with the same one a 2nd time":  {Cert: append(bytes.Clone(ofEC), ofEC...), Key: sec1},
		"with 15 certificates after it": {Cert: append(bytes.Clone(ofEC), bytes.Repeat(ofRSA, 15)...), Key: sec1},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pki.ParsePair(p)
			wantError(t, err, "")
			if err == nil && string(chain(c)) != string(p.Cert) && !strings.Contains(name, "with") {
				t.Errorf("got another certificate: %s", c.Subject)
			}
			if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
				t.Errorf("crypto/tls refuses it: %v", err)
			}
		})
	}
}

func windows(pem []byte) []byte { return bytes.ReplaceAll(pem, []byte("\n"), []byte("\r\n")) }

func TestRefusedPairs(t *testing.T) {
	good := issue(t, newCA(t, now), peer(), now)
	other := issue(t, newCA(t, now), peer(), now)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	agreement := must(ecdh.X25519().GenerateKey(rand.Reader))(t)
	encrypted := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
		Bytes: []byte("x"),
	})
	der, _ := pem.Decode(good.Cert)
	for name, test := range map[string]struct {
		cert, key []byte
		fault     string
	}{
		"nothing":                        {nil, nil, "certificate: no PEM block: it is empty"},
		"spaces":                         {[]byte(" \n"), good.Key, "certificate: no PEM block: it is empty"},
		"no key":                         {good.Cert, nil, "private key: no PEM block: it is empty"},
		"the two exchanged":              {good.Key, good.Cert, "certificate: PEM block 1 is a PRIVATE KEY, not a certificate"},
		"a certificate as key":           {good.Cert, good.Cert, "private key: the PEM block is a CERTIFICATE, not a private key"},
		"a key after the certificate":    {join(good.Cert, good.Key), good.Key, "PEM block 2 is a PRIVATE KEY, not a certificate"},
		"a request":                      {block("CERTIFICATE REQUEST", nil), good.Key, "PEM block 1 is a CERTIFICATE REQUEST, not a"},
		"an unknown block":               {block("SECRET WORDS", nil), good.Key, "PEM block 1 is of an unknown type, not a"},
		"two keys":                       {good.Cert, join(good.Key, good.Key), "only one PEM block"},
		"a key and its certificate":      {good.Cert, join(good.Key, good.Cert), "only one PEM block"},
		"only a curve":                   {good.Cert, block("EC PARAMETERS", []byte{5, 0}), "an EC PARAMETERS, not a private key"},
		"an encrypted key of PKCS #8":    {good.Cert, block("ENCRYPTED PRIVATE KEY", nil), "the key is encrypted"},
		"an encrypted key of PKCS #1":    {good.Cert, encrypted, "the key is encrypted"},
		"a key of OpenSSH":               {good.Cert, block("OPENSSH PRIVATE KEY", nil), "an OPENSSH PRIVATE KEY, not a"},
		"an empty key":                   {good.Cert, block("PRIVATE KEY", nil), "the PRIVATE KEY cannot be parsed"},
		"a key that cannot sign":         {good.Cert, pkcs8(t, agreement), "the key cannot sign"},
		"another's key":                  {good.Cert, other.Key, `does not belong to the certificate "CN=0a1b2c3d"`},
		"the leaf after another":         {join(other.Cert, good.Cert), good.Key, "belongs to certificate 2 of the chain"},
		"a certificate in DER":           {der.Bytes, good.Key, "certificate: no PEM block"},
		"a certificate in base64 twice":  {[]byte(base64.StdEncoding.EncodeToString(good.Cert)), good.Key, "encoded in base64 once more"},
		"a path to a file":               {[]byte("/etc/tls.crt"), good.Key, "certificate: no PEM block"},
		"a key as certificate":           {block("CERTIFICATE", der.Bytes[:40]), good.Key, "PEM block 1 is not a valid certificate: x509: "},
		"a certificate and some more":    {block("CERTIFICATE", append(bytes.Clone(der.Bytes), 0)), good.Key, "not a valid certificate: x509: trailing data"},
		"text after the certificate":     {join(good.Cert, []byte("x\n")), good.Key, "something follows PEM block 1"},
		"a damaged one before":           {join([]byte("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), good.Cert), good.Key, "PEM block 1 is damaged"},
		"one without its first line":     {join(good.Cert[28:], good.Cert), good.Key, "PEM block 1 is damaged"},
		"one without its last line":      {join(good.Cert, good.Cert[:len(good.Cert)-26]), good.Key, "PEM block 2 is damaged"},
		"one that begins within a line":  {join([]byte("\ufeff"), good.Cert), good.Key, "does not begin at the start of a line"},
		"a chain of seventeen":           {bytes.Repeat(good.Cert, 17), good.Key, "a chain of 17 certificates: at most 16"},
		"a bad certificate in the chain": {join(good.Cert, block("CERTIFICATE", []byte{1})), good.Key, "PEM block 2 is not a valid certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pki.ParsePair(pki.Pair{Cert: test.cert, Key: test.key})
			wantError(t, err, test.fault)
			if c != nil {
				t.Errorf("a refused pair gave the certificate %s", c.Subject)
			}
			if err != nil && (len(err.Error()) > 300 || strings.Contains(err.Error(), "\n")) {
				t.Errorf("the error is too long for a condition: %q", err)
			}
		})
	}
}

func TestErrorsDoNotRepeatTheInput(t *testing.T) {
	words := strings.Repeat("secret-word ", 1000)
	for name, data := range map[string][]byte{
		"text":             []byte(words),
		"a type":           block(words, nil),
		"a header":         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": words}}),
		"a body":           block("CERTIFICATE", []byte(words)),
		"a URI in its SAN": badURI(t, words),
	} {
		for what, parse := range map[string]func([]byte) error{
			"certificate": func(b []byte) error { _, err := pki.ParseCertificate(b); return err },
			"bundle":      func(b []byte) error { _, err := pki.ParseBundle(b); return err },
			"verify": func(b []byte) error {
				return pki.Bundle{}.Verify(b, x509.ExtKeyUsageAny, now)
			},
			"key": func(b []byte) error {
				_, err := pki.ParsePair(pki.Pair{Cert: newCA(t, now).Cert, Key: b})
				return err
			},
		} {
			if err := parse(data); err == nil || strings.Contains(err.Error(), "secret-word") {
				t.Errorf("%s as a %s: got error %v, want one that does not repeat it", name, what, err)
			}
		}
	}
}

// badURI is a certificate that crypto/x509 refuses with an error that quotes it.
func badURI(t *testing.T, host string) []byte {
	t.Helper()
	key := ecdsaKey(t)
	c := foreign(t, nil, key, func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("d", len(host)) + "://%zz"} })
	der := bytes.Clone(c.Raw)
	// In the SAN extension the tag of a DNS name is 2, that of a URI is 6, and the text is as long.
	at := bytes.Index(der, []byte("dddd"))
	if der[at-4] != 0x82 {
		t.Fatalf("the name has the tag %x, want that of a DNS name", der[at-4])
	}
	der[at-4] = 0x86
	copy(der[at:], host)
	if _, err := x509.ParseCertificate(der); err == nil || !strings.Contains(err.Error(), "secret-word") {
		t.Fatalf("crypto/x509 says %v, want an error that repeats the URI", err)
	}
	return block("CERTIFICATE", der)
}

func TestACutFileIsRefused(t *testing.T) {
	ca := newCA(t, now)
	p := issue(t, ca, peer(), now)
	whole := len(p.Cert)
	both := append(bytes.Clone(p.Cert), ca.Cert...)
	for n := range len(both) {
		// Only the last line end may be missing.
		if n == whole || n == whole-1 || n == len(both)-1 {
			continue
		}
		if _, err := pki.ParseCertificate(both[:n]); err == nil {
			t.Errorf("a chain that is cut after %d of %d bytes is accepted", n, len(both))
		}
	}
	for n := range len(p.Key) - 1 {
		if _, err := pki.ParsePair(pki.Pair{Cert: p.Cert, Key: p.Key[:n]}); err == nil {
			t.Errorf("a key that is cut after %d of %d bytes is accepted", n, len(p.Key))
		}
	}
}

func FuzzParse(f *testing.F) {
	ca := newCA(f, now)
	p := issue(f, ca, peer(), now)
	key := p.Key
	for _, seed := range [][]byte{
		nil, p.Cert, p.Key, ca.Cert, append(bytes.Clone(p.Cert), ca.Cert...), append(bytes.Clone(p.Cert), p.Key...),
		windows(ca.Cert), p.Cert[:300], []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
		[]byte("# a comment\n" + string(ca.Cert) + "# more\n"), block("EC PRIVATE KEY", []byte{0x30, 0}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := pki.ParseCertificate(data); err == nil && !bytes.Contains(data, []byte("BEGIN CERTIFICATE")) {
			t.Errorf("accepts as a certificate what is none: %q", data)
		}
		for _, pair := range []pki.Pair{{Cert: data, Key: key}, {Cert: p.Cert, Key: data}} {
			if _, err := pki.ParsePair(pair); err == nil {
				if _, err := tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
					t.Errorf("accepts a pair that crypto/tls refuses with %v: %q", err, data)
				}
			}
			_ = pair.String()
		}
		if b, err := pki.ParseBundle(data); err == nil {
			again, err := pki.ParseBundle(b.PEM())
			if err != nil || again.Hash() != b.Hash() || b.Empty() {
				t.Errorf("bundle %s becomes %s when written and read: %v", b.Hash(), again.Hash(), err)
			}
		}
		_ = trust(t, ca).IssuerOf(data)
		_ = trust(t, ca).Verify(data, x509.ExtKeyUsageAny, now)
	})
}
