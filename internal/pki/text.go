package pki

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// maxQuoted is how much of a text from outside a message shows, in bytes: messages go into conditions and events.
	maxQuoted = 100
	// maxError is how much of an error of another package a message shows, in bytes.
	maxError = 300
	// maxListed is how many names a message shows.
	maxListed = 5
)

// describe names a certificate in a message.
func describe(c *x509.Certificate) string { return quote(c.Subject.String()) }

// quote makes a text from outside safe for a message: bounded, and in one line.
func quote(s string) string {
	if short := cut(s, maxQuoted); short != s {
		return strconv.Quote(short + "...")
	}
	return strconv.Quote(s)
}

// cut is the start of s, of at most n bytes and without half a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// list is `DNS name "a"` or `DNS names "a", "b"...`.
func list(what string, items []string) string {
	var b strings.Builder
	b.WriteString(what)
	if len(items) > 1 {
		b.WriteString(plural(what))
	}
	for i, item := range items {
		switch {
		case i == maxListed:
			fmt.Fprintf(&b, " and %d more", len(items)-maxListed)
			return b.String()
		case i > 0:
			b.WriteString(",")
		}
		b.WriteString(" " + quote(item))
	}
	return b.String()
}

func plural(what string) string {
	if strings.HasSuffix(what, "s") {
		return "es"
	}
	return "s"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// bounded is an error with a message that fits into a condition.
type bounded struct{ err error }

func (b bounded) Error() string { return cut(b.err.Error(), maxError) }

func (b bounded) Unwrap() error { return b.err }
