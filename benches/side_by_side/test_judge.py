"""Tests of the judgement. `benches/run --quick` runs them."""

import unittest

from . import judge, table
from .rows import Row

ROW = Row("row", "a row", "µs", None, targets=(("nginx", 0.90),))


def samples(*values, noise=""):
    return [{"value": value, "noise": noise} for value in values]


def verdict(ours, theirs, direct=None, row=ROW):
    columns = {"throughway": ours, "nginx": theirs}
    columns |= {"direct": direct} if direct else {}
    cells = {name: judge.cell(of, row.spread_max) for name, of in columns.items()}
    [only] = judge.verdicts(row, cells)
    return only


class Judgement(unittest.TestCase):
    def test_a_target_that_is_reached_is_met(self):
        self.assertEqual(verdict(samples(8, 8, 8), samples(10, 10, 10)).outcome, "met")

    def test_a_target_that_is_not_reached_says_by_how_much(self):
        missed = verdict(samples(9.9, 9.9, 9.9), samples(10, 10, 10))
        self.assertEqual(missed.outcome, "missed")
        self.assertIn("by 10 %", missed.words)

    def test_rounds_that_differ_give_no_ratio(self):
        steady, shaky = samples(10, 10, 10), samples(9, 10, 10.5)
        for case in ((shaky, steady), (steady, shaky), (steady, steady, shaky)):
            with self.subTest(case=case):
                untold = verdict(*case)
                self.assertEqual(untold.outcome, "untold")
                self.assertIn("spread 15 %", untold.words)

    def test_a_noisy_sample_does_not_count(self):
        ours = samples(8, 8, 8) + samples(80, noise="others used 90 % of a core")
        self.assertEqual(verdict(ours, samples(10, 10, 10)).outcome, "met")

    def test_too_few_quiet_samples_give_no_ratio(self):
        ours = samples(8, 8) + samples(8, 8, 8, noise="1 % of a core was stolen")
        untold = verdict(ours, samples(10, 10, 10))
        self.assertEqual(untold.outcome, "untold")
        self.assertIn("only 2 quiet rounds of 5", untold.words)

    def test_one_round_gives_no_ratio(self):
        self.assertEqual(verdict(samples(8), samples(10)).outcome, "untold")

    def test_the_best_of_the_peers_is_a_peer(self):
        row = Row("row", "a row", "µs", None, targets=(("best", 1.0),))
        steady = samples(10, 10, 10)
        self.assertEqual(verdict(steady, steady, samples(1, 1, 1), row).outcome, "met")

    def test_a_bound_needs_no_peer(self):
        row = Row("row", "a row", "bytes", None, targets=((None, 1500),))
        cells = {"throughway": judge.cell(samples(1400, 1400, 1400), 0.1)}
        self.assertEqual(judge.verdicts(row, cells)[0].outcome, "met")

    def test_others_and_theft_are_noise(self):
        quiet = {"seconds": 5, "steal": 0.0, "others_cpu": 0.1}
        self.assertEqual(judge.noise_of(quiet), "")
        self.assertIn("stolen", judge.noise_of(quiet | {"steal": 0.1}))
        self.assertIn("others", judge.noise_of(quiet | {"others_cpu": 1.0}))

    def test_a_late_generator_is_noise(self):
        quiet = {"seconds": 5, "steal": 0.0, "others_cpu": 0.1}
        self.assertEqual(judge.noise_of(quiet | {"late_p99": 20e-6}), "")
        self.assertIn("late", judge.noise_of(quiet | {"late_p99": 1e-3}))


class Document(unittest.TestCase):
    def test_only_what_is_between_the_marks_is_replaced(self):
        document = f"before {table.BEGIN} old {table.END} after"
        written = table.put_into(document, "new")
        self.assertTrue(written.startswith("before ") and written.endswith(" after"))
        self.assertIn("new", written)
        self.assertNotIn("old", written)

    def test_a_document_without_marks_is_left_alone(self):
        with self.assertRaises(ValueError):
            table.put_into("no marks", "new")
