package tenant

import (
	"testing"
	"time"
)

func TestTheLongestGapIsThatWhichOverlapsTheTimeInQuestion(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	line := &Timeline{successes: []time.Time{at(1), at(2), at(12), at(13), at(16), at(17), at(40)}}
	tests := map[string]struct{ from, to, want int }{
		"a gap inside":                        {13, 17, 3},
		"the longest of several":              {1, 17, 10},
		"a gap that has begun before":         {5, 14, 10},
		"a gap that ends later":               {16, 20, 23},
		"no success any more":                 {41, 50, 10},
		"no success before, none in question": {17, 18, 23},
	}
	for name, test := range tests {
		want := time.Duration(test.want) * time.Second
		if got := line.LongestGap(at(test.from), at(test.to)); got != want {
			t.Errorf("%s: the longest gap from %d to %d s is %s, want %s", name, test.from, test.to, got, want)
		}
	}
}
