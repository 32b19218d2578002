package pkitest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestALeakIsFoundInEveryNotation(t *testing.T) {
	ca := CA(t, "demo", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	block, _ := pem.Decode(ca.Key)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := parsed.(*ecdsa.PrivateKey)
	secret := map[string][]byte{"tls.key": ca.Key}
	asJSON, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as a text":                   string(ca.Key),
		"as a quoted text":            fmt.Sprintf("%q", ca.Key),
		"as a map of bytes":           fmt.Sprintf("%v", secret),
		"as a map with field names":   fmt.Sprintf("%+v", secret),
		"as a map in Go notation":     fmt.Sprintf("%#v", secret),
		"in hexadecimal":              fmt.Sprintf("%x", ca.Key),
		"in upper-case hexadecimal":   fmt.Sprintf("%X", ca.Key),
		"in binary":                   fmt.Sprintf("%d", block.Bytes),
		"as JSON":                     string(asJSON),
		"as a parsed key":             fmt.Sprintf("%+v", key),
		"in part, within other words": "key: " + string(ca.Key)[40:200] + "...",
	} {
		if Leak("before "+text+" after", ca.Key) == "" {
			t.Errorf("a key was not found %s: %s", name, text)
		}
	}
	for range 30 { // whatever the alignment of the public key in both
		ca := CA(t, strings.Repeat("x", rand.N(20)+1), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
		if how := Leak(string(ca.Cert), ca.Key); how != "" {
			t.Fatalf("the public key was taken for the private one: %s", how)
		}
	}
	other := CA(t, "demo", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	for name, text := range map[string]string{
		"a certificate": string(ca.Cert), "a pair": fmt.Sprintf("%+v", ca), "another key": string(other.Key), "nothing": "",
	} {
		if how := Leak(text, ca.Key); how != "" {
			t.Errorf("%s was taken for the key: %s", name, how)
		}
	}
	if Leak("", nil) == "" || Leak("", ca.Cert) == "" {
		t.Error("what is no key was looked for, and that it was not found passes for safety")
	}
}
