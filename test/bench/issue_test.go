package main

import (
	"strings"
	"testing"
)

func TestIssuingTakesTimeOfTheProcessor(t *testing.T) {
	r, err := measureIssue(withTLS())
	if err != nil {
		t.Fatal(err)
	}
	if r.Clusters != 100 || r.Authorities != 2 || r.Certificates != 4 || len(r.CPU.Values) != issueRepeats {
		t.Errorf("measured are %+v, want %d times 2 authorities and 4 certificates of 100 clusters", r, issueRepeats)
	}
	// 600 keys and more signatures than that: less than 10 ms would mean that they were not made.
	if r.CPU.Min < 0.010 {
		t.Errorf("600 keys and certificates took %g s, which cannot be", r.CPU.Min)
	}
	var out strings.Builder
	if err := (&results{Issuing: &r}).print(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "2 authorities and 4 certificates for each of 100 clusters") {
		t.Errorf("the table does not say what was issued:\n%s", out.String())
	}
}
