package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummary(t *testing.T) {
	for name, tc := range map[string]struct {
		values []float64
		want   summary
	}{
		"one value":                            {[]float64{2}, summary{Median: 2, Min: 2, Max: 2}},
		"an odd number, not in order":          {[]float64{9, 1, 4}, summary{Median: 4, Min: 1, Max: 9}},
		"an even number: the middle of two":    {[]float64{4, 1, 2, 100}, summary{Median: 3, Min: 1, Max: 100}},
		"an outlier does not move the median":  {[]float64{1, 1, 1, 1, 60}, summary{Median: 1, Min: 1, Max: 60}},
		"equal values":                         {[]float64{3, 3, 3}, summary{Median: 3, Min: 3, Max: 3}},
		"ascending values, five as by default": {[]float64{1, 2, 3, 4, 5}, summary{Median: 3, Min: 1, Max: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Values = append([]float64(nil), tc.values...)
			if diff := cmp.Diff(tc.want, summarize(tc.values)); diff != "" {
				t.Errorf("summary (-want +got); the values must stay as they were measured:\n%s", diff)
			}
		})
	}
}
