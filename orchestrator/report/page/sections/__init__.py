"""The parts of the page after the answers, by topic. Each gives its markup, or nothing where it has nothing to say."""
