package framework

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
)

// held is a member whose own data may lag behind what a linearizable read through it returns.
type held struct {
	name        string
	linearized  map[string]string
	own         map[string]string
	unreachable bool
}

func (h held) Name() string { return h.name }

func (h held) Read(_ context.Context, _ string, serializable bool) (map[string]string, error) {
	switch {
	case h.unreachable:
		return nil, errors.New("connection refused")
	case serializable:
		return h.own, nil
	default:
		return h.linearized, nil
	}
}

func TestCheckWritesFindsEveryLostWrite(t *testing.T) {
	acknowledged := map[string]string{"/a": "1", "/b": "2", "/c": "3"}
	without := func(key string) map[string]string {
		m := maps.Clone(acknowledged)
		delete(m, key)
		return m
	}
	changed := maps.Clone(acknowledged)
	changed["/b"] = "other"
	more := maps.Clone(acknowledged)
	more["/d"] = "4"
	whole := held{name: "demo-0", linearized: acknowledged, own: acknowledged}

	tests := map[string]struct {
		members []KeyReader
		want    string
	}{
		"nothing is lost when all members hold all writes": {members: []KeyReader{whole, whole}},
		"a write beyond the acknowledged ones is no fault": {
			members: []KeyReader{held{name: "demo-0", linearized: more, own: more}},
		},
		"a key that is gone everywhere is found": {
			members: []KeyReader{held{name: "demo-0", linearized: without("/b"), own: without("/b")}},
			want:    "demo-0 (linearizable): 1 of 3 lost: /b is missing",
		},
		"a key that one member alone has lost is found": {
			members: []KeyReader{whole, held{name: "demo-1", linearized: acknowledged, own: without("/c")}},
			want:    "demo-1 (serializable): 1 of 3 lost: /c is missing",
		},
		"another value is found": {
			members: []KeyReader{held{name: "demo-0", linearized: changed, own: changed}},
			want:    `/b is "other", acknowledged was "2"`,
		},
		"a member that started empty is found": {
			members: []KeyReader{whole, held{name: "demo-1", linearized: acknowledged}},
			want:    "demo-1 (serializable): 3 of 3 lost",
		},
		"a member that cannot be read is a fault": {
			members: []KeyReader{whole, held{name: "demo-1", unreachable: true}},
			want:    "demo-1 cannot be read (linearizable): connection refused",
		},
		"no member at all is a fault": {want: "no member to read the 3 acknowledged writes from"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckWrites(t.Context(), test.members, "/", acknowledged)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("unexpected fault: %v", err)
			case test.want != "" && err == nil:
				t.Errorf("no fault found, want %q", test.want)
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Errorf("fault is\n%v\nwant it to contain\n%s", err, test.want)
			}
		})
	}
}
