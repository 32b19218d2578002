package tenant

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// registry is the prefix of all keys of a Kubernetes.
const registry = "/registry/"

// EtcdWatch is a watch of etcd itself on everything that Kubernetes stores: etcdctl, connected to the Service in front
// of all voters. It ends with the first error that etcd's client does not mend by itself.
type EtcdWatch struct {
	plane   *ControlPlane
	version string
	writer  *Writer

	mu       sync.Mutex
	revision uint64
	history  map[string]History
	failure  error

	process *process
	read    chan struct{}
}

// WatchEtcd begins to watch after a revision, with the etcdctl of a version, for what the Writer writes.
func (c *ControlPlane) WatchEtcd(version string, after uint64, writer *Writer) (*EtcdWatch, error) {
	w := &EtcdWatch{plane: c, version: version, writer: writer, revision: after, history: map[string]History{}}
	return w, w.start()
}

func (w *EtcdWatch) start() error {
	flags := append(w.plane.Datastore.EtcdctlFlags(w.plane.Datastore.ServiceEndpoint()),
		"watch", "--prefix", registry, "--rev="+strconv.FormatUint(w.revision+1, 10), "--write-out=json")
	argv, err := w.plane.place.etcdctl(w.version, flags...)
	if err != nil {
		return err
	}
	output, input, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("watch etcd: %w", err)
	}
	w.process, err = w.plane.run("etcdctl-watch", input, argv)
	_ = input.Close() // the process has its own
	if err != nil {
		_ = output.Close()
		return err
	}
	w.read = make(chan struct{})
	go func() {
		defer close(w.read)
		defer func() { _ = output.Close() }()
		w.take(output)
	}()
	return nil
}

// etcdEvents is what is needed of the line that etcdctl writes for each response.
type etcdEvents struct {
	Events []struct {
		Type int `json:"type"`
		KV   struct {
			Key         []byte `json:"key"`
			Value       []byte `json:"value"`
			ModRevision uint64 `json:"mod_revision"`
		} `json:"kv"`
	} `json:"Events"`
	Canceled     bool   `json:"Canceled"`
	CancelReason string `json:"CancelReason"`
}

func (w *EtcdWatch) take(output io.Reader) {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			var response etcdEvents
			if err = json.Unmarshal(line, &response); err == nil {
				err = w.add(response)
			}
		}
		if err != nil {
			w.mu.Lock()
			w.failure = fmt.Errorf("read from etcdctl watch: %w", err)
			w.mu.Unlock()
			return
		}
	}
}

func (w *EtcdWatch) add(response etcdEvents) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if response.Canceled {
		return fmt.Errorf("etcd cancelled the watch: %s", response.CancelReason)
	}
	// What Kubernetes stores is binary; the values that are written stand in it as they are.
	values := regexp.MustCompile(regexp.QuoteMeta(w.writer.id) + `-\d{6}`)
	for _, event := range response.Events {
		w.revision = max(w.revision, event.KV.ModRevision)
		resource, object, found := strings.Cut(strings.TrimPrefix(string(event.KV.Key), registry), "/")
		name, ours := strings.CutPrefix(object, w.writer.namespace+"/")
		if !found || !ours || !strings.HasPrefix(name, namePrefix) {
			continue
		}
		entry := Entry{event.KV.ModRevision, name, string(values.Find(event.KV.Value))}
		if event.Type != 0 {
			entry.Value = "(deleted)"
		}
		h := w.history[resource]
		h.Events = append(h.Events, entry)
		w.history[resource] = h
	}
	return nil
}

// Failure tells why the watch has ended without being asked to; nil while it goes on.
func (w *EtcdWatch) Failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.failure, w.process.ended())
}

// Restart ends the watch and begins it anew where it was, as a client must that reads its certificates only once.
func (w *EtcdWatch) Restart(ctx context.Context) error {
	if err := w.Failure(); err != nil {
		return err
	}
	if err := w.stop(ctx); err != nil {
		return err
	}
	return w.start()
}

func (w *EtcdWatch) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := w.process.stop(ctx)
	<-w.read
	return err
}

// Stop ends the watch. What it saw of a kind is then in History.
func (w *EtcdWatch) Stop(ctx context.Context) error {
	return errors.Join(w.Failure(), w.stop(ctx))
}

// History is what was seen of a kind.
func (w *EtcdWatch) History(kind Kind) History {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.history[kind.Resource]
}
