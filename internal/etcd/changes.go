package etcd

import "sync"

// changes passes on names in the order in which they came, each at most once while it waits to be received. So a
// writer never blocks, a reader that is slow or not there loses nothing, and memory is bounded by the number of names.
type changes struct {
	out  chan string
	wake chan struct{} // holds one token while names wait
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex
	waiting []string
	known   map[string]bool
}

func newChanges() *changes {
	c := &changes{
		out: make(chan string), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		known: map[string]bool{},
	}
	go c.run()
	return c
}

func (c *changes) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known[name] {
		c.known[name] = true
		c.waiting = append(c.waiting, name)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *changes) next() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return "", false
	}
	name := c.waiting[0]
	c.waiting = c.waiting[1:]
	delete(c.known, name)
	return name, true
}

func (c *changes) run() {
	defer close(c.done)
	defer close(c.out)
	for {
		name, ok := c.next()
		if !ok {
			select {
			case <-c.wake:
				continue
			case <-c.stop:
				return
			}
		}
		select {
		case c.out <- name:
		case <-c.stop:
			return
		}
	}
}

func (c *changes) close() {
	c.once.Do(func() { close(c.stop) })
	<-c.done
}
