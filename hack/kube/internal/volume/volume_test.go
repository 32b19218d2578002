package volume

import "testing"

func TestSize(t *testing.T) {
	tests := []struct {
		name            string
		requested, want int64
	}{
		{"nothing becomes the minimum", 0, MinimumSize},
		{"less than an XFS needs becomes the minimum", 10 * mebibyte, MinimumSize},
		{"a whole number of MiB stays", 100 * mebibyte, 100 * mebibyte},
		{"anything else is rounded up", 100*mebibyte + 1, 101 * mebibyte},
		{"a decimal gigabyte is rounded up", 1_000_000_000, 954 * mebibyte},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Size(test.requested); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	for escaped, want := range map[string]string{
		"/a/b": "/a/b", `/a\040b`: "/a b", `/a\134b`: `/a\b`, `/a\9`: `/a\9`, `/a\`: `/a\`,
	} {
		if got := unescape(escaped); got != want {
			t.Errorf("unescape(%q) is %q, want %q", escaped, got, want)
		}
	}
}
