package main

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/quorate/quorate/test/framework"
)

// What is told of a writer, each after the name of the part in which it ran.
const (
	writesDone     = ": writes acknowledged"
	writesRepeated = ": attempts repeated"
	writesFailed   = ": writes failed"
	longestGap     = ": longest gap, seconds"
)

// writingFigures are all names, in the order in which they are told.
func writingFigures() []string {
	var names []string
	for _, part := range []string{partRestart, partUpgrade} {
		for _, figure := range []string{writesDone, writesRepeated, writesFailed, longestGap} {
			names = append(names, part+figure)
		}
	}
	return names
}

// writingLimit is the largest value that is tolerated; nil when that is only told.
func writingLimit(name string) *float64 {
	switch {
	case strings.HasSuffix(name, writesFailed):
		return new(0.0)
	case strings.HasSuffix(name, longestGap):
		return new(1.0)
	default:
		return nil
	}
}

// measured are the figures of a record by name.
func (r record) measured(part string) map[string]float64 {
	return map[string]float64{
		part + writesDone:     float64(len(r.acknowledged)),
		part + writesRepeated: float64(r.repeated),
		part + writesFailed:   float64(r.failed),
		part + longestGap:     r.longest.Seconds(),
	}
}

// whileWriting does something while a client writes, and reads back what was acknowledged from all members.
func (s *stage) whileWriting(ctx context.Context, l *life, part string, do func(context.Context) error) error {
	w, err := s.observer.write(ctx, 3)
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	err = do(ctx)
	r := w.end()
	if err != nil {
		return err
	}
	if r.failure != nil {
		say("%s: %d attempts to write were repeated, the last one because of: %v", part, r.repeated, r.failure)
	}
	for name, value := range r.measured(part) {
		l.writing[name] = value
	}
	members, err := s.observer.members(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	var readers []framework.KeyReader
	for _, m := range members {
		readers = append(readers, keyReader{m})
	}
	if err := framework.CheckWrites(ctx, readers, w.prefix, r.acknowledged); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

// keyReader reads from one member.
type keyReader struct{ member }

func (r keyReader) Name() string { return r.pod.Name }

func (r keyReader) Read(ctx context.Context, prefix string, serializable bool) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	options := []clientv3.OpOption{clientv3.WithPrefix()}
	if serializable {
		options = append(options, clientv3.WithSerializable())
	}
	response, err := r.conn.Get(ctx, prefix, options...)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, kv := range response.Kvs {
		found[string(kv.Key)] = string(kv.Value)
	}
	return found, nil
}
