package sim

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if n := simRuns(); n > 0 {
		os.Args = append(os.Args, fmt.Sprintf("-rapid.checks=%d", (n+workers()-1)/workers()))
	} else if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.Contains(arg, "rapid.") }) {
		// The same schedules each time: what is new is found by "make sim", and does not stop a change that has nothing to
		// do with it.
		os.Args = append(os.Args, "-rapid.seed=1")
	}
	os.Exit(m.Run())
}

// simRuns is how many random schedules the environment asks for; 0 when it does not.
func simRuns() int {
	n, err := strconv.Atoi(os.Getenv("SIM_RUNS"))
	if err != nil {
		return 0
	}
	return n
}

// runTenth has the test run a tenth of the schedules that the environment asks for.
func runTenth(t *testing.T) {
	t.Helper()
	if runs := simRuns(); runs > 0 {
		setFlag(t, "rapid.checks", strconv.Itoa(max(1, runs/10/workers())))
	}
}

// workers run random schedules side by side.
func workers() int { return runtime.GOMAXPROCS(0) }

// checkInParallel checks the property on as many schedules as the environment asks for, shared among all processors.
// Else, as when a seed is run again, it is one check.
func checkInParallel(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	if simRuns() == 0 {
		rapid.Check(t, property)
		return
	}
	t.Run("workers", func(t *testing.T) {
		for n := range workers() {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, property)
			})
		}
	})
}
