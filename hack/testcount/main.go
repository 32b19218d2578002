// Command testcount runs `go test` in one or more modules, prints failures in full and everything else in a line a
// package, and ends with a line that counts the tests:
//
//	testcount [-v] [-out FILE] [-module DIR]... -- [flags of go test] PACKAGES
//	testcount -sum FILE...
//
// With -out the counts are written to a file too; -sum adds such files up. It fails when a test failed, when go test
// itself failed, and when no test ran at all.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	modules []string
	out     string
	stream  bool
	sum     bool
	args    []string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("testcount", flag.ContinueOnError)
	flags.BoolVar(&o.stream, "v", false, "print all output of the tests as it comes")
	flags.BoolVar(&o.sum, "sum", false, "add up the files that are named")
	flags.StringVar(&o.out, "out", "", "file to write the counts to")
	flags.Func("module", "directory of a module to test; may be repeated (default the working directory)",
		func(dir string) error {
			o.modules = append(o.modules, dir)
			return nil
		})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.args = flags.Args()
	if len(o.args) == 0 {
		return o, errors.New("nothing to do: name packages, or files with -sum")
	}
	if len(o.modules) == 0 {
		o.modules = []string{"."}
	}
	return o, nil
}

func run(args []string, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.sum {
		return sum(o.args, stdout)
	}
	var total counts
	var failures []error
	for _, module := range o.modules {
		c, err := test(module, o, stdout)
		total = total.plus(c)
		if err != nil {
			failures = append(failures, fmt.Errorf("tests of module %s: %w", module, err))
		}
	}
	_, _ = fmt.Fprintln(stdout, total)
	if o.out != "" {
		failures = append(failures, total.write(o.out))
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return total.verdict()
}

// sum adds up the files that exist: a file is missing when its tests were not reached.
func sum(files []string, stdout io.Writer) error {
	var total counts
	for _, file := range files {
		c, err := readCounts(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		total = total.plus(c)
	}
	_, err := fmt.Fprintln(stdout, total)
	return err
}

// test runs go test in one module. The counts are those until a failure, too.
func test(module string, o options, stdout io.Writer) (counts, error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, o.args...)...)
	cmd.Dir = filepath.Clean(module)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return counts{}, err
	}
	// A terminal's interrupt reaches go test as well, which ends and is waited for: what ran is still counted.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if err := cmd.Start(); err != nil {
		return counts{}, err
	}
	c, readErr := newReport(stdout, o.stream).read(events)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		if c.Failed == 0 {
			c.Failed = 1
		}
		return c, err
	}
	return c, nil
}
