use super::hash::KeyedHash;
use super::request::SpanRow;
use super::stats::EngineStats;

/// Who is whose parent among a request's spans, whatever the ids say: always a forest.
///
/// The outcome does not depend on the order in which the spans arrived. Scratch space, reused.
#[derive(Debug)]
pub(crate) struct Tree {
    hash: KeyedHash,
    /// Open addressing from span id to row plus one.
    table: Vec<u32>,
    parents: Vec<u32>,
    /// Nanoseconds of each row's direct children.
    children: Vec<u64>,
    marks: Vec<u32>,
    root: u32,
}

/// No parent.
pub(crate) const NONE: u32 = u32::MAX;

/// Which of two rows comes first: the earlier, then the longer, then the one with the lower id.
fn rank(row: &SpanRow) -> (u64, std::cmp::Reverse<u64>, u64, u64) {
    (row.start, std::cmp::Reverse(row.duration), row.id.0, row.parent.0)
}

impl Tree {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Tree {
            hash,
            table: Vec::new(),
            parents: Vec::new(),
            children: Vec::new(),
            marks: Vec::new(),
            root: NONE,
        }
    }

    /// The row of the request's root.
    pub(crate) fn root(&self) -> u32 {
        self.root
    }

    pub(crate) fn parent(&self, row: u32) -> u32 {
        self.parents.get(row as usize).copied().unwrap_or(NONE)
    }

    /// What is left of each row's duration after its children, in order of rows.
    #[inline]
    pub(crate) fn exclusive<'a>(
        &'a self,
        rows: &'a [SpanRow],
    ) -> impl Iterator<Item = (&'a SpanRow, u64)> {
        // Children that ran at the same time may add up to more than their parent.
        rows.iter()
            .zip(&self.children)
            .map(|(row, children)| (row, row.duration.saturating_sub(*children)))
    }

    pub(crate) fn exclusive_of(&self, rows: &[SpanRow], row: u32) -> u64 {
        let children = self.children.get(row as usize).copied().unwrap_or(0);
        rows.get(row as usize).map_or(0, |row| row.duration.saturating_sub(children))
    }

    /// Takes time from a row on behalf of children that have no row.
    pub(crate) fn add_children(&mut self, row: u32, nanos: u64) {
        if let Some(children) = self.children.get_mut(row as usize) {
            *children = children.saturating_add(nanos);
        }
    }

    /// Works out the forest of `rows`.
    pub(crate) fn build(&mut self, rows: &[SpanRow], stats: &mut EngineStats) {
        self.index(rows, stats);
        self.parents.clear();
        self.children.clear();
        self.children.resize(rows.len(), 0);
        self.root = NONE;
        let mut orphans = 0_u64;
        let mut roots = 0_u64;
        // Agents that record spans as they end have all parents after their children, those that
        // record them as they begin before: then there can be no cycle, and no search for one.
        let (mut ascending, mut descending) = (true, true);
        let mut last = (0, NONE);
        let mut best_root: Option<(u32, &SpanRow)> = None;
        let mut best_orphan: Option<(u32, &SpanRow)> = None;
        let better = |best: Option<(u32, &SpanRow)>, row: &SpanRow| {
            best.is_none_or(|(_, best)| rank(row) < rank(best))
        };
        for (at, row) in rows.iter().enumerate() {
            let at = at as u32;
            let parent = if row.parent.is_none() {
                roots += 1;
                if better(best_root, row) {
                    best_root = Some((at, row));
                }
                NONE
            } else {
                if last.0 != row.parent.0 || last.1 == NONE {
                    last = (row.parent.0, self.find(rows, row.parent.0));
                }
                if last.1 == NONE {
                    orphans += 1;
                    if better(best_orphan, row) {
                        best_orphan = Some((at, row));
                    }
                    ORPHAN
                } else {
                    ascending &= last.1 > at;
                    descending &= last.1 < at;
                    last.1
                }
            };
            self.parents.push(parent);
        }
        self.root = match (best_root, best_orphan) {
            (Some((at, _)), _) | (None, Some((at, _))) => at,
            (None, None) => NONE,
        };
        if best_root.is_none() && best_orphan.is_some() {
            orphans -= 1;
        }
        stats.spans_orphaned += orphans;
        stats.roots_extra += roots.saturating_sub(1);
        if !ascending && !descending {
            self.cut_cycles(rows, stats);
        }
        self.settle(rows);
    }

    /// Orphans become the root's children; then everyone's time is taken from their parents.
    fn settle(&mut self, rows: &[SpanRow]) {
        let root = self.root;
        for (at, parent) in self.parents.iter_mut().enumerate() {
            if *parent == ORPHAN {
                *parent = if at as u32 == root { NONE } else { root };
            }
        }
        for (row, parent) in rows.iter().zip(&self.parents) {
            if let Some(children) = self.children.get_mut(*parent as usize) {
                *children = children.saturating_add(row.duration);
            }
        }
    }

    fn index(&mut self, rows: &[SpanRow], stats: &mut EngineStats) {
        let len = (rows.len() * 2).next_power_of_two().max(16);
        self.table.clear();
        self.table.resize(len, 0);
        self.table.shrink_to(KEEP);
        let mask = len - 1;
        for (at, row) in rows.iter().enumerate() {
            let mut place = self.hash.word(row.id.0) as usize & mask;
            while let Some(slot) = self.table.get_mut(place) {
                let Some(held) = slot.checked_sub(1) else {
                    *slot = at as u32 + 1;
                    break;
                };
                if let Some(other) = rows.get(held as usize)
                    && other.id == row.id
                {
                    stats.span_ids_repeated += 1;
                    if rank(row) < rank(other) {
                        *slot = at as u32 + 1;
                    }
                    break;
                }
                place = (place + 1) & mask;
            }
        }
    }

    #[inline]
    fn find(&self, rows: &[SpanRow], id: u64) -> u32 {
        let mask = self.table.len().wrapping_sub(1);
        let mut place = self.hash.word(id) as usize & mask;
        while let Some(row) = self.table.get(place).and_then(|slot| slot.checked_sub(1)) {
            if rows.get(row as usize).is_some_and(|row| row.id.0 == id) {
                return row;
            }
            place = (place + 1) & mask;
        }
        NONE
    }

    /// Opens each ring of parents at its first span, which becomes an orphan.
    #[cold]
    fn cut_cycles(&mut self, rows: &[SpanRow], stats: &mut EngineStats) {
        self.marks.clear();
        self.marks.resize(rows.len(), 0);
        self.marks.shrink_to(KEEP);
        for start in 0..rows.len() as u32 {
            // Marks: 0 is unseen, `start + 1` is on this walk, anything else leads to a root.
            let mut at = start;
            while let Some(mark) = self.marks.get_mut(at as usize) {
                if *mark != 0 {
                    if *mark == start + 1 {
                        self.cut_cycle(rows, at);
                        stats.span_cycles += 1;
                    }
                    break;
                }
                *mark = start + 1;
                at = self.parent(at);
            }
        }
    }

    fn cut_cycle(&mut self, rows: &[SpanRow], member: u32) {
        let mut first = member;
        let mut at = self.parent(member);
        while at != member && at < ORPHAN {
            if let (Some(row), Some(best)) = (rows.get(at as usize), rows.get(first as usize))
                && rank(row) < rank(best)
            {
                first = at;
            }
            at = self.parent(at);
        }
        if let Some(parent) = self.parents.get_mut(first as usize) {
            *parent = ORPHAN;
        }
        if self.root == NONE {
            self.root = first;
        } else if let (Some(row), Some(best)) =
            (rows.get(first as usize), rows.get(self.root as usize))
            && self.parent(self.root) == ORPHAN
            && rank(row) < rank(best)
        {
            self.root = first;
        }
    }

    /// All rows, parents before children, siblings by their start.
    pub(crate) fn preorder(&self, rows: &[SpanRow]) -> Vec<u32> {
        let mut by_start: Vec<u32> = (0..rows.len() as u32).collect();
        by_start.sort_by_key(|at| rows.get(*at as usize).map(rank));
        // Lists of siblings, built from the last to the first.
        let mut first_child = vec![NONE; rows.len()];
        let mut next_sibling = vec![NONE; rows.len()];
        let mut first_root = NONE;
        for at in by_start.into_iter().rev() {
            let head = match first_child.get_mut(self.parent(at) as usize) {
                Some(head) => head,
                None => &mut first_root,
            };
            if let Some(next) = next_sibling.get_mut(at as usize) {
                *next = *head;
            }
            *head = at;
        }
        let mut order = Vec::with_capacity(rows.len());
        let mut stack = Vec::new();
        let mut visit = |from: u32| {
            stack.push(from);
            while let Some(at) = stack.pop() {
                if at == NONE {
                    continue;
                }
                order.push(at);
                if at != from {
                    stack.push(next_sibling.get(at as usize).copied().unwrap_or(NONE));
                }
                stack.push(first_child.get(at as usize).copied().unwrap_or(NONE));
            }
        };
        // The request's own root comes first, other trees after it.
        if self.root != NONE {
            visit(self.root);
        }
        let mut at = first_root;
        while at != NONE {
            if at != self.root {
                visit(at);
            }
            at = next_sibling.get(at as usize).copied().unwrap_or(NONE);
        }
        order
    }
}

/// An unknown parent, or one in a ring; stands in `parents` only while the forest is built.
const ORPHAN: u32 = u32::MAX - 1;
/// Entries of scratch space kept from one request to the next.
const KEEP: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::operation::OpId;
    use crate::engine::request::Subject;
    use crate::model::SpanId;

    fn row(id: u64, parent: u64, start: u64, duration: u64) -> SpanRow {
        SpanRow {
            id: SpanId(id),
            parent: SpanId(parent),
            start,
            duration,
            op: OpId(0),
            kind: Default::default(),
            layer: Default::default(),
            subject: Subject::None,
            tags: 0,
            n_tags: 0,
        }
    }

    fn build(rows: &[SpanRow]) -> (Tree, EngineStats) {
        let mut tree = Tree::new(KeyedHash::new([3, 4]));
        let mut stats = EngineStats::default();
        tree.build(rows, &mut stats);
        (tree, stats)
    }

    fn exclusive(tree: &Tree, rows: &[SpanRow]) -> Vec<u64> {
        tree.exclusive(rows).map(|(_, exclusive)| exclusive).collect()
    }

    #[test]
    fn exclusive_time_in_either_order() {
        let rows = [row(1, 0, 0, 100), row(2, 1, 10, 60), row(3, 2, 20, 25), row(4, 1, 80, 15)];
        let (tree, stats) = build(&rows);
        assert_eq!(exclusive(&tree, &rows), [25, 35, 25, 15]);
        assert_eq!(tree.preorder(&rows), [0, 1, 2, 3]);
        assert_eq!(stats, EngineStats::default());
        let mut rows = rows;
        rows.reverse();
        let (tree, _) = build(&rows);
        assert_eq!(exclusive(&tree, &rows), [15, 25, 35, 25]);
        assert_eq!(tree.preorder(&rows), [3, 2, 1, 0]);
    }

    #[test]
    fn children_at_once_leave_nothing_rather_than_less() {
        let rows = [row(1, 0, 0, 100), row(2, 1, 0, 90), row(3, 1, 0, 90)];
        let (tree, _) = build(&rows);
        assert_eq!(exclusive(&tree, &rows), [0, 90, 90]);
    }

    #[test]
    fn unknown_parents_lead_to_the_root() {
        let rows = [row(2, 77, 10, 60), row(1, 0, 0, 100), row(3, 2, 20, 25)];
        let (tree, stats) = build(&rows);
        assert_eq!((tree.root(), stats.spans_orphaned), (1, 1));
        assert_eq!(exclusive(&tree, &rows), [35, 40, 25]);
    }

    #[test]
    fn without_a_root_the_earliest_orphan_serves() {
        let rows = [row(3, 9, 50, 10), row(2, 9, 10, 60)];
        let (tree, stats) = build(&rows);
        assert_eq!((tree.root(), stats.spans_orphaned), (1, 1));
        assert_eq!(exclusive(&tree, &rows), [10, 50]);
    }

    #[test]
    fn cycles_are_cut_at_their_first_span() {
        let rows = [row(1, 0, 0, 100), row(2, 3, 10, 20), row(3, 2, 15, 10), row(4, 4, 50, 5)];
        let (tree, stats) = build(&rows);
        assert_eq!(stats.span_cycles, 2);
        assert_eq!((tree.parent(1), tree.parent(2), tree.parent(3)), (0, 1, 0));
        assert_eq!(tree.preorder(&rows), [0, 1, 2, 3]);
        let ring = [row(1, 2, 5, 10), row(2, 1, 0, 20)];
        let (tree, stats) = build(&ring);
        assert_eq!((tree.root(), tree.parent(0), stats.span_cycles), (1, 1, 1));
    }

    #[test]
    fn repeated_ids_keep_all_spans() {
        let rows = [row(1, 0, 0, 100), row(5, 1, 20, 10), row(5, 1, 10, 10), row(6, 5, 11, 4)];
        let (tree, stats) = build(&rows);
        assert_eq!(stats.span_ids_repeated, 1);
        assert_eq!(tree.parent(3), 2);
        assert_eq!(exclusive(&tree, &rows), [80, 10, 6, 4]);
    }

    #[test]
    fn further_roots_are_their_own_trees() {
        let rows = [row(2, 0, 50, 10), row(1, 0, 0, 100), row(3, 2, 51, 4)];
        let (tree, stats) = build(&rows);
        assert_eq!((tree.root(), stats.roots_extra), (1, 1));
        assert_eq!(exclusive(&tree, &rows), [6, 100, 4]);
        assert_eq!(tree.preorder(&rows), [1, 0, 2]);
    }
}
