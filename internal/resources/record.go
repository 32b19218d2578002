package resources

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const recordTrue = "true"

// record reads what an object records as strings, and keeps the first error, so that a decoder reads as a list.
type record struct {
	values map[string]string
	err    error
}

func (r *record) fail(key, problem string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s %s: the record was not written by the operator or was edited; restore it", key, problem)
	}
}

// text is a record that must be there.
func (r *record) text(key string) string {
	v := r.values[key]
	if v == "" {
		r.fail(key, "is missing")
	}
	return v
}

// positive is a number of at least 1 that must be there.
func (r *record) positive(key string) int64 {
	n, err := strconv.ParseInt(r.values[key], 10, 64)
	if err != nil || n < 1 {
		r.fail(key, fmt.Sprintf("is %q, not a number above 0", r.values[key]))
		return 0
	}
	return n
}

// id is an etcd ID that must be there.
func (r *record) id(key string) uint64 {
	id, err := ParseID(r.values[key])
	if err != nil || id == 0 {
		r.fail(key, fmt.Sprintf("is %q, not an etcd ID", r.values[key]))
		return 0
	}
	return id
}

// time is a point in time; zero when it is not recorded.
func (r *record) time(key string) time.Time {
	if r.values[key] == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, r.values[key])
	if err != nil {
		r.fail(key, fmt.Sprintf("is %q, not a time", r.values[key]))
	}
	return t
}

// ids is a comma-separated list of etcd IDs, which may be empty but must be there: to take a lost list for an empty one
// could start a member empty.
func (r *record) ids(key string) []uint64 {
	value, found := r.values[key]
	if !found {
		r.fail(key, "is missing")
	}
	if value == "" {
		return nil
	}
	var list []uint64
	for s := range strings.SplitSeq(value, ",") {
		id, err := ParseID(s)
		if err != nil || id == 0 {
			r.fail(key, fmt.Sprintf("has %q, not an etcd ID", s))
		}
		list = append(list, id)
	}
	return list
}

func formatIDs(ids []uint64) string {
	parts := make([]string, 0, len(ids))
	for _, id := range ids {
		parts = append(parts, FormatID(id))
	}
	return strings.Join(parts, ",")
}

// flag is true, false, or absent, which is false. Anything else is an error: to take it for false could start a
// retired volume.
func (r *record) flag(key string) bool {
	switch v := r.values[key]; v {
	case recordTrue:
		return true
	case "", "false":
		return false
	default:
		r.fail(key, fmt.Sprintf("is %q, neither true nor false", v))
		return false
	}
}

func setAnnotation(obj metav1.Object, key, value string) {
	obj.SetAnnotations(merged(obj.GetAnnotations(), map[string]string{key: value}))
}

func setFlag(obj metav1.Object, key string, on bool) {
	if on {
		setAnnotation(obj, key, recordTrue)
		return
	}
	annotations := merged(obj.GetAnnotations(), nil)
	delete(annotations, key)
	obj.SetAnnotations(annotations)
}
