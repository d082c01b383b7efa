"""How long a soak takes that has more jobs or kills."""

from tests.faults.soak import SHORT, USUAL_JOBS, for_more


def test_a_soak_of_the_usual_size_takes_the_usual_time():
    assert for_more(SHORT, USUAL_JOBS, SHORT.kills) == SHORT


def test_more_jobs_come_over_more_time_and_are_waited_for_longer():
    longer = for_more(SHORT, USUAL_JOBS + 1000, SHORT.kills)
    assert longer.over - SHORT.over == longer.storm - SHORT.storm == longer.patience - SHORT.patience == 1500


def test_more_kills_are_spread_over_more_time():
    assert for_more(SHORT, USUAL_JOBS, 100).storm >= 500
