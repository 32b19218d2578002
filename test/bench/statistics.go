package main

import "slices"

// summary is what is told about repeated measurements of one thing.
type summary struct {
	// Values in the order in which they were measured.
	Values []float64 `json:"values"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
}

// summarize must be given at least one value.
func summarize(values []float64) summary {
	sorted := slices.Sorted(slices.Values(values))
	return summary{Values: values, Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

func median(sorted []float64) float64 {
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
