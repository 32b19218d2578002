package pki_test

import (
	"testing"

	"github.com/quorate/quorate/internal/pki"
)

func BenchmarkNewCA(b *testing.B) {
	for b.Loop() {
		if _, err := pki.NewCA("demo peers", now, year); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	ca, r := newCA(b, now), peer()
	for b.Loop() {
		if _, err := pki.Issue(ca, r, now); err != nil {
			b.Fatal(err)
		}
	}
}
